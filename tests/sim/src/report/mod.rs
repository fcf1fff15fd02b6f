//! Tables and plots.

mod plot;
mod text;

pub use plot::plots;
pub use text::table;

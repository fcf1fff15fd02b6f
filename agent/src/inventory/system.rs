//! Kernel and distribution.

use serde::Serialize;

use super::{Root, field};

/// What runs the machine.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct System {
    /// Its host name.
    pub host: String,
    /// The kernel's release.
    pub kernel: String,
    /// The distribution and its version.
    pub os: String,
    /// The machine's maker and product, as the firmware has it; empty if it does not say.
    pub product: String,
}

impl System {
    pub(super) fn of(root: &Root) -> Self {
        let text = |path| root.text(path).unwrap_or_default();
        let release = match text("etc/os-release") {
            empty if empty.is_empty() => text("usr/lib/os-release"),
            text => text,
        };
        let os = field(&release, "PRETTY_NAME", '=').unwrap_or_default();
        let maker = text("sys/class/dmi/id/sys_vendor");
        let product = text("sys/class/dmi/id/product_name");
        Self {
            host: text("proc/sys/kernel/hostname"),
            kernel: text("proc/sys/kernel/osrelease"),
            os: os.trim_matches(['"', '\'']).to_owned(),
            product: format!("{maker} {product}").trim().to_owned(),
        }
    }
}

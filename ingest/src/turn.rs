//! How long a generation accepts, and how long it serves.

use tokio_util::sync::CancellationToken;

/// A generation's turn. First it takes what comes; once it has [retired](Self::retire) it serves
/// what it has, and nothing new; when it is to [leave](Self::leave), whatever it has taken till then,
/// it sends its publishers to the generation that accepts; when it has [ended](Self::end) it goes.
/// Clones are the same.
#[derive(Debug, Clone)]
pub struct Turn {
    accepting: CancellationToken,
    staying: CancellationToken,
    serving: CancellationToken,
}

impl Default for Turn {
    fn default() -> Self {
        Self::until(CancellationToken::new())
    }
}

impl Turn {
    /// A turn that ends with this token, and retires by then.
    pub fn until(serving: CancellationToken) -> Self {
        Self {
            accepting: serving.child_token(),
            staying: CancellationToken::new(),
            serving,
        }
    }

    /// Nothing new is taken from now on.
    pub fn retire(&self) {
        self.accepting.cancel();
    }

    /// Publishers are to go, to who accepts.
    pub fn leave(&self) {
        self.staying.cancel();
    }

    /// Everything ends.
    pub fn end(&self) {
        self.serving.cancel();
    }

    /// Cancelled when nothing new is taken any more.
    pub fn accepting(&self) -> &CancellationToken {
        &self.accepting
    }

    /// Cancelled when publishers are to go.
    pub fn staying(&self) -> &CancellationToken {
        &self.staying
    }

    /// Cancelled when everything ends.
    pub fn serving(&self) -> &CancellationToken {
        &self.serving
    }

    /// Whether nothing new is taken any more.
    pub fn has_retired(&self) -> bool {
        self.accepting.is_cancelled()
    }
}

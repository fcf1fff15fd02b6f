//! What a part has made ready and not yet put in force.

/// Puts in force what was prepared.
#[must_use]
pub struct Commit {
    put: Box<dyn FnOnce() + Send>,
    renews: Option<String>,
}

/// A [`Commit`] of a closure, which must not fail and should not take long.
pub fn commit(put_in_force: impl FnOnce() + Send + 'static) -> Commit {
    Commit {
        put: Box::new(put_in_force),
        renews: None,
    }
}

impl Commit {
    /// The same, which replaces something that no key of the configuration shows.
    pub fn renewing(self, what: impl Into<String>) -> Self {
        Self {
            renews: Some(what.into()),
            ..self
        }
    }

    /// Does it; what was replaced beside keys.
    pub(super) fn put_in_force(self) -> Option<String> {
        (self.put)();
        self.renews
    }
}

impl std::fmt::Debug for Commit {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Commit")
            .field("renews", &self.renews)
            .finish_non_exhaustive()
    }
}

//! Stories: what is told of the hosts of one program, one after another.
//!
//! The hosts are booted once for all stories, and ended after the last. Where a machine can hold
//! none, every story counts as skipped and the reason is printed: nobody shall take silence for
//! success.

use std::ops::Deref;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::pin::Pin;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Instant;

use libtest_mimic::{Arguments, Trial};

use super::{Ground, Host, Hosts, at_once};

/// What the stories of a program share: a [`Ground`] and what stands on it.
pub trait Stage: Deref<Target = Ground> + Send + Sync + Sized + 'static {
    /// Boots it.
    fn up() -> Self;

    /// The hosts whose journals are shown when a story fails.
    fn cast(&self) -> Vec<&Host> {
        self.hosts.all().iter().collect()
    }

    /// Why no story can be told any more, if that is so.
    fn lost(&self) -> Option<String> {
        None
    }

    /// This story failed.
    fn failed(&self, _story: &'static str) {}
}

/// A story while it is told.
pub type Telling<'a> = Pin<Box<dyn Future<Output = ()> + 'a>>;

/// A story by its name. [`stories!`](crate::stories) makes them.
pub struct Story<S> {
    /// What it is called on the command line.
    pub name: &'static str,
    /// Begins it.
    pub tell: for<'a> fn(&'a S) -> Telling<'a>,
}

impl<S> std::fmt::Debug for Story<S> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name)
    }
}

/// The stories of these async functions, each of which takes a reference to the stage.
#[macro_export]
macro_rules! stories {
    ($($module:ident::$story:ident,)*) => {
        [$($crate::hosts::Story {
            name: stringify!($story),
            tell: |stage| Box::pin($module::$story(stage)),
        },)*]
    };
}

/// Tells those that the command line asks for, as `cargo test` understands it.
pub fn tell<S: Stage>(stories: impl IntoIterator<Item = Story<S>>) -> ExitCode {
    let mut arguments = Arguments::from_args();
    // One machine, one set of hosts: the stories share it.
    arguments.test_threads = Some(1);
    let skipped = Hosts::possible().err();
    if let Some(reason) = &skipped {
        eprintln!("NOT RUN: no story is told, since this machine can hold no hosts:\n{reason}");
    }
    let stories = stories.into_iter();
    if arguments.list || skipped.is_some() {
        let ignored = |s: Story<S>| Trial::test(s.name, || Ok(())).with_ignored_flag(true);
        return libtest_mimic::run(&arguments, stories.map(ignored).collect()).exit_code();
    }
    let began = Instant::now();
    let stage = Arc::new(S::up());
    eprintln!("the hosts are up after {} s", began.elapsed().as_secs());
    let trial = |story: Story<S>| {
        let stage = Arc::clone(&stage);
        Trial::test(story.name, move || {
            tell_one(&*stage, &story).map_err(Into::into)
        })
    };
    let told = libtest_mimic::run(&arguments, stories.map(trial).collect());
    told.exit_code()
}

fn tell_one<S: Stage>(stage: &S, story: &Story<S>) -> Result<(), String> {
    if let Some(reason) = stage.lost() {
        return Err(format!("not told: {reason}"));
    }
    let began = Instant::now();
    let told = catch_unwind(AssertUnwindSafe(|| {
        stage.runtime().block_on((story.tell)(stage));
    }));
    eprintln!("{} took {} s", story.name, began.elapsed().as_secs());
    if let Err(panic) = told {
        stage.failed(story.name);
        at_once(stage.cast(), |host| {
            eprintln!("--- {}\n{}", host.name(), host.last_words());
        });
        resume_unwind(panic);
    }
    Ok(())
}

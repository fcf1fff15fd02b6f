//! What one program of a supervisor leaves to the next in the same process.
//!
//! A supervisor that ended would take its listeners and generations with it. So at an upgrade it
//! does not end: the new program is run in the same process, with the same children, listeners and
//! control sockets, and goes on from this state. It was asked before whether it can.

use std::fs::File;
use std::io::{self, Read};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream as StdUnixStream;

use rackcast_service::frame::Framed;
use rackcast_service::process::{Child, InheritError, RESUME_VARIABLE, inherited};
use rackcast_service::reload::Waiting;
use serde::{Deserialize, Serialize};
use tokio::net::UnixStream;

use super::binary::Binary;
use super::control::{BASIS_FD, CONTROL_FD, Report};
use super::member::{Folder, Member};
use super::set::Saved;

/// The form of [`State`]; a program that knows only others does not take over.
const FORM: u32 = 1;

/// All that cannot be found out anew.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct State {
    form: u32,
    /// The policy's part.
    pub(super) set: Saved,
    members: Vec<Left>,
}

/// One generation.
#[derive(Debug, Serialize, Deserialize)]
struct Left {
    number: u64,
    pid: u32,
    binary: Binary,
    report: Option<Report>,
    /// Bytes of a report that had not come whole.
    unread: Vec<u8>,
}

/// Why a state cannot be taken over.
#[derive(Debug, thiserror::Error)]
pub enum ResumeError {
    /// It was left by a version that is too different.
    #[error("what the running supervisor leaves is not understood: {0}")]
    Form(String),
    /// A descriptor was not handed over.
    #[error(transparent)]
    Inherit(#[from] InheritError),
    /// A generation is no child of this process, or its socket is none.
    #[error("generation {number} cannot be taken over: {source}")]
    Member {
        /// Its number.
        number: u64,
        /// What the system says.
        source: io::Error,
    },
}

impl State {
    /// The state of these generations, and the descriptors that go with it.
    pub(super) fn of(set: Saved, members: &[Member]) -> io::Result<(Self, Vec<(String, OwnedFd)>)> {
        let mut fds = Vec::new();
        let mut left = Vec::new();
        for member in members {
            let (control, unread) = member.control.parts().map_err(io::Error::other)?;
            fds.push((control_fd(member.number), control));
            left.push(Left {
                number: member.number,
                pid: member.child.id().unwrap_or(0),
                binary: member.binary.clone(),
                report: member.report.clone(),
                unread,
            });
        }
        let state = Self {
            form: FORM,
            set,
            members: left,
        };
        Ok((state, fds))
    }

    /// What an earlier program of this process left, if one did.
    ///
    /// # Errors
    /// It is not understood.
    pub(super) fn left() -> Result<Option<Self>, ResumeError> {
        let Some(text) = std::env::var_os(RESUME_VARIABLE) else {
            return Ok(None);
        };
        let state: Self = serde_json::from_str(&text.to_string_lossy())
            .map_err(|e| ResumeError::Form(e.to_string()))?;
        match state.form {
            FORM => Ok(Some(state)),
            other => Err(ResumeError::Form(format!("it has form {other}"))),
        }
    }

    /// Takes the generations over. Must be called within a tokio runtime.
    pub(super) fn members(self, folder: &Folder) -> Result<Vec<Member>, ResumeError> {
        let take = |left: Left| {
            let number = left.number;
            let failed = |source| ResumeError::Member { number, source };
            let control = StdUnixStream::from(inherited(&control_fd(number))?);
            control.set_nonblocking(true).map_err(failed)?;
            let control = UnixStream::from_std(control).map_err(failed)?;
            Ok(Member {
                number,
                peer: folder.peer(number),
                child: Child::adopt(left.pid).map_err(failed)?,
                control: Framed::resume(control, &left.unread),
                binary: left.binary,
                report: left.report,
                waiting: Waiting::new(),
            })
        };
        self.members.into_iter().map(take).collect()
    }
}

/// The configuration that the listeners and names of an earlier program of this process come from,
/// if it told.
pub(super) fn basis() -> Option<String> {
    let mut text = String::new();
    let mut file = File::from(inherited(BASIS_FD).ok()?);
    file.read_to_string(&mut text).ok().map(|_| text)
}

/// Says whether this program could go on where the one that asks is.
///
/// # Errors
/// Why not.
pub fn can_resume() -> Result<(), ResumeError> {
    match State::left()? {
        Some(_) => Ok(()),
        None => Err(ResumeError::Form("nothing was left".to_owned())),
    }
}

fn control_fd(number: u64) -> String {
    format!("{CONTROL_FD}-{number}")
}

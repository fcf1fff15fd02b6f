//! The commands of a publisher, from `connect` to `deleteStream`.

use rackcast_segment::id::AppName;

use super::event::{Asked, Event, SessionError};
use super::{MAX_COMMAND, Publish, Session};
use crate::rtmp::amf::{self, Value};
use crate::rtmp::chunk::Message;
use crate::rtmp::reply::Status;

/// Message streams that a connection may create: one is enough to publish, and some publishers
/// take a new one for every try.
const MAX_STREAMS: u32 = 16;

impl Session {
    pub(super) fn command(
        &mut self,
        message: &Message,
        payload: &[u8],
    ) -> Result<(), SessionError> {
        if payload.len() > MAX_COMMAND {
            return Err(SessionError::Command("a command is too long"));
        }
        let values = amf::read(payload)?;
        let name = values.first().and_then(Value::as_str);
        let name = name.ok_or(SessionError::Command("a command has no name"))?;
        let transaction = values.get(1).and_then(Value::as_number).unwrap_or(0.0);
        let argument = values.get(3);
        if name == "connect" {
            return self.connect(transaction, values.get(2));
        }
        let Some(app) = self.app.clone() else {
            return Err(SessionError::Command("a command before connect"));
        };
        match name {
            "createStream" => {
                if self.streams >= MAX_STREAMS {
                    return Err(SessionError::Command("too many message streams"));
                }
                self.streams = self.streams.saturating_add(1);
                let stream = Value::Number(f64::from(self.streams));
                self.replies.result(transaction, stream);
            }
            "publish" => self.publish(app, message.stream, argument)?,
            "play" | "play2" => {
                let why = SessionError::Play;
                self.replies
                    .status(message.stream, Status::PlayFailed, &why.to_string());
                return Err(why);
            }
            "FCUnpublish" | "closeStream" => {
                self.finish();
                self.replies.result(transaction, Value::Null);
            }
            "deleteStream" => {
                let stream = argument.and_then(Value::as_number);
                if let Publish::Yes(ours, _) = self.publish
                    && stream.is_none_or(|stream| stream == f64::from(ours))
                {
                    self.finish();
                }
            }
            // releaseStream, FCPublish, getStreamLength, _checkbw and whatever else is asked:
            // an answer that says nothing is the one that all publishers accept.
            _ => self.replies.result(transaction, Value::Null),
        }
        Ok(())
    }

    fn connect(&mut self, transaction: f64, about: Option<&Value>) -> Result<(), SessionError> {
        if self.app.is_some() {
            return Err(SessionError::Command("a second connect"));
        }
        let app = about.and_then(|o| o.get("app")).and_then(Value::as_str);
        match app.unwrap_or_default().trim_matches('/').parse() {
            Ok(app) => {
                self.replies.greet();
                self.replies.connected(transaction);
                self.app = Some(app);
                Ok(())
            }
            Err(error) => {
                let error = SessionError::App(error);
                self.replies.rejected(transaction, &error.to_string());
                Err(error)
            }
        }
    }

    fn publish(
        &mut self,
        app: AppName,
        stream: u32,
        name: Option<&Value>,
    ) -> Result<(), SessionError> {
        if !matches!(self.publish, Publish::No) {
            return Err(SessionError::Command("a second publish on a connection"));
        }
        if !(1..=self.streams).contains(&stream) {
            return Err(SessionError::Command("publish without createStream"));
        }
        let name = name.and_then(Value::as_str).unwrap_or_default();
        self.publish = Publish::Asked(stream);
        self.events.push_back(Event::Publish(Asked {
            app,
            name_and_query: name.to_owned(),
        }));
        Ok(())
    }

    fn finish(&mut self) {
        if let Publish::Yes(stream, _) = self.publish {
            self.replies
                .status(stream, Status::Unpublished, "The stream is over.");
            self.publish = Publish::No;
            self.events.push_back(Event::Finished);
        }
    }
}

//! The protocol between ingest and transcode node.
//!
//! `POST /v1/segments` over HTTP/2 (HTTP/1.1 works too, for `curl`): [`job`] is the request's
//! headers, its body is one MPEG-TS segment with one H.264 stream. The answer is
//! `200 multipart/mixed`, a part per rendition as it is finished and a [`reply::Summary`] last
//! ([`multipart`] writes and reads it), or a [`reply::Refusal`] before the body is read.
//! `GET /v1/load` answers a [`load::Load`].
//!
//! A request carries all that is needed: any node can take any segment. Numbers of bodies and
//! parts are carried as chunks so that parts of segments can travel later without a new
//! protocol.

pub mod job;
pub mod load;
pub mod multipart;
pub mod reply;

/// The protocol's version; sent in [`HEADER_PROTOCOL`] and registered in the catalog.
pub const PROTOCOL: u32 = 1;
/// Path of the segment endpoint.
pub const SEGMENTS_PATH: &str = "/v1/segments";
/// Path of the load probe.
pub const LOAD_PATH: &str = "/v1/load";

/// Header: [`PROTOCOL`].
pub const HEADER_PROTOCOL: &str = "rackcast-protocol";
/// Header: the stream's opaque token.
pub const HEADER_STREAM: &str = "rackcast-stream";
/// Header: the segment's sequence number.
pub const HEADER_SEQUENCE: &str = "rackcast-sequence";
/// Header: milliseconds left until the answer is worthless.
pub const HEADER_DEADLINE: &str = "rackcast-deadline-ms";
/// Header: which attempt this is, 1 for the first.
pub const HEADER_ATTEMPT: &str = "rackcast-attempt";
/// Header, optional: `true` asks that the segment begin in quarantine, since it has killed a
/// worker elsewhere.
pub const HEADER_QUARANTINE: &str = "rackcast-quarantine";
/// Header: the structured rest of the job, JSON of [`job::JobSpec`].
pub const HEADER_JOB: &str = "rackcast-job";
/// Header, optional: what each rendition is to be told of its rate, JSON of [`job::JobSpec::rates`].
pub const HEADER_RATES: &str = "rackcast-rates";
/// Header of a 200 answer, optional: the encoder by whose quality the renditions were made, where the job
/// carried rates and it is one that is told a quality.
pub const HEADER_ENCODER: &str = "rackcast-encoder";
/// Header of a part: the rendition's name.
pub const HEADER_RENDITION: &str = "rackcast-rendition";
/// Header of a part: the chunk's number within the rendition, from 0.
pub const HEADER_CHUNK: &str = "rackcast-chunk";
/// Header of a part: `true` on a rendition's last chunk.
pub const HEADER_LAST: &str = "rackcast-last";

//! The broadcaster: ffmpeg with a moving picture and a tone.

use std::path::Path;

use rackcast_service::process::Command;

use super::Member;

/// 640x360 at 25 pictures a second, a keyframe every 2 s: small enough to be encoded and
/// transcoded on two cores, with B-frames and stereo sound as real broadcasts have them. The
/// picture counts its own time, and the tone beeps once a second.
const PICTURE: &str = "testsrc2=size=640x360:rate=25";
const SOUND: &str = "sine=frequency=330:beep_factor=4:sample_rate=48000";

/// How ffmpeg is run to publish to `address`. It is started again whatever happens, as a
/// broadcaster's encoder would be: it ends whenever the ingest does.
pub(super) fn member(ffmpeg: &Path, address: &str) -> Member {
    let (ffmpeg, address) = (ffmpeg.to_owned(), address.to_owned());
    let command = move || {
        Command::new(&ffmpeg)
            .args(["-hide_banner", "-nostdin", "-loglevel", "warning"])
            .args(["-re", "-f", "lavfi", "-i", PICTURE])
            .args(["-re", "-f", "lavfi", "-i", SOUND])
            .args(["-c:v", "libx264", "-preset", "veryfast", "-threads", "1"])
            .args([
                "-pix_fmt", "yuv420p", "-b:v", "1000k", "-maxrate", "1000k", "-bufsize", "2000k",
            ])
            .args(["-g", "50", "-keyint_min", "50", "-sc_threshold", "0"])
            .args(["-c:a", "aac", "-b:a", "96k", "-ac", "2"])
            .args(["-f", "flv"])
            .arg(&address)
    };
    Member {
        name: "publisher".to_owned(),
        restart: true,
        command: Box::new(command),
    }
}

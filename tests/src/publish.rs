//! Publishers: ffmpeg, as a broadcaster would run it.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use crate::process::Process;

/// A test picture with sound, to be encoded once and published many times.
#[derive(Debug, Clone, Copy)]
pub struct Sample {
    /// Seconds.
    pub seconds: u32,
    /// Width in pixels; 0 for audio only.
    pub width: u32,
    /// Height in pixels.
    pub height: u32,
    /// Pictures a second.
    pub rate: u32,
    /// B-frames between two reference pictures, at most.
    pub b_frames: u32,
    /// With sound.
    pub audio: bool,
}

impl Default for Sample {
    /// Two minutes of 320x180 with sound; a keyframe every two seconds, two B-frames.
    fn default() -> Self {
        Self {
            seconds: 120,
            width: 320,
            height: 180,
            rate: 25,
            b_frames: 2,
            audio: true,
        }
    }
}

impl Sample {
    /// The usual picture for a quarter of an hour, for streams that outlive what is done to them.
    pub fn long() -> Self {
        Self {
            seconds: 900,
            ..Self::default()
        }
    }

    /// The sample as an FLV file; made at the first call on this machine.
    ///
    /// # Panics
    /// ffmpeg cannot make it.
    pub fn file(&self) -> PathBuf {
        let Self {
            seconds,
            width,
            height,
            rate,
            b_frames,
            audio,
        } = *self;
        let dir = crate::process::target_dir().join("samples");
        std::fs::create_dir_all(&dir).unwrap();
        let name = format!("{width}x{height}-{rate}-{b_frames}b-{seconds}s-{audio}.flv");
        let path = dir.join(&name);
        if path.exists() {
            return path;
        }
        let mut ffmpeg = Command::new("ffmpeg");
        ffmpeg.args(["-v", "error", "-nostdin", "-y"]);
        if width > 0 {
            let picture = format!("testsrc2=size={width}x{height}:rate={rate}:duration={seconds}");
            ffmpeg.args(["-f", "lavfi", "-i", &picture]);
        }
        if audio {
            let tone = format!("sine=frequency=440:sample_rate=48000:duration={seconds}");
            ffmpeg.args(["-f", "lavfi", "-i", &tone]);
            ffmpeg.args(["-c:a", "aac", "-b:a", "96k", "-ac", "2"]);
        }
        if width > 0 {
            let (gop, b_frames) = ((rate * 2).to_string(), b_frames.to_string());
            ffmpeg.args([
                "-c:v", "libx264", "-preset", "veryfast", "-pix_fmt", "yuv420p",
            ]);
            ffmpeg.args([
                "-g",
                &gop,
                "-keyint_min",
                &gop,
                "-sc_threshold",
                "0",
                "-bf",
                &b_frames,
            ]);
        }
        let beside = tempfile::Builder::new()
            .suffix(".flv")
            .tempfile_in(&dir)
            .unwrap();
        let made = ffmpeg.arg(beside.path()).status().expect("ffmpeg runs");
        assert!(made.success(), "ffmpeg cannot make {name}");
        beside.persist(&path).unwrap();
        path
    }
}

/// Noise, which no encoder makes small: segments of 2.5 MB, and renditions as large.
///
/// # Panics
/// ffmpeg cannot make it.
pub fn noise() -> PathBuf {
    let picture = "nullsrc=size=320x180:rate=25:duration=20,geq=random(1)*255:128:128";
    let options = [
        "-preset",
        "ultrafast",
        "-pix_fmt",
        "yuv420p",
        "-b:v",
        "10M",
        "-maxrate",
        "10M",
        "-bufsize",
        "10M",
    ];
    encoded("noise-320x180-25-20s-10M", picture, &options)
}

/// Whatever pictures ffmpeg's filters make, 25 a second, by x264 with these options and a keyframe every two
/// seconds, as an FLV file; made at the first call on this machine.
///
/// # Panics
/// ffmpeg cannot make it.
pub fn encoded(name: &str, picture: &str, options: &[&str]) -> PathBuf {
    let dir = crate::process::target_dir().join("samples");
    std::fs::create_dir_all(&dir).unwrap();
    let path = dir.join(format!("{name}.flv"));
    if !path.exists() {
        let mut ffmpeg = Command::new("ffmpeg");
        ffmpeg.args([
            "-v", "error", "-nostdin", "-y", "-f", "lavfi", "-i", picture,
        ]);
        ffmpeg.args(["-c:v", "libx264"]).args(options);
        ffmpeg.args(["-g", "50", "-sc_threshold", "0"]);
        let beside = tempfile::Builder::new()
            .suffix(".flv")
            .tempfile_in(&dir)
            .unwrap();
        assert!(ffmpeg.arg(beside.path()).status().unwrap().success());
        beside.persist(&path).unwrap();
    }
    path
}

/// The pictures of a file, in MPEG-TS.
///
/// # Panics
/// ffmpeg cannot read it.
pub fn pictures(file: &Path) -> Vec<u8> {
    let mut ffmpeg = Command::new("ffmpeg");
    ffmpeg.args(["-v", "error", "-nostdin", "-i"]).arg(file);
    ffmpeg.args(["-map", "0:v", "-c", "copy", "-f", "mpegts", "-"]);
    let output = ffmpeg.output().expect("ffmpeg runs");
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    output.stdout
}

/// Publishes a file once, in its own time.
pub fn publish(file: &Path, url: &str) -> Process {
    Process::start(&mut command(file, url))
}

/// The same as fast as the ingest takes it.
pub fn publish_at_once(file: &Path, url: &str) -> Process {
    let mut ffmpeg = Command::new("ffmpeg");
    ffmpeg.args(["-v", "info", "-nostdin", "-nostats", "-i"]);
    Process::start(ffmpeg.arg(file).args(["-c", "copy", "-f", "flv", url]))
}

/// The same over TLS: ffmpeg believes the server only by this authority.
pub fn publish_secure(file: &Path, url: &str, authority: &Path) -> Process {
    let mut ffmpeg = Command::new("ffmpeg");
    ffmpeg
        .args(["-v", "info", "-nostdin", "-nostats", "-re", "-i"])
        .arg(file);
    ffmpeg.args(["-c", "copy", "-f", "flv", "-tls_verify", "1", "-ca_file"]);
    Process::start(ffmpeg.arg(authority).arg(url))
}

fn command(file: &Path, url: &str) -> Command {
    let mut ffmpeg = Command::new("ffmpeg");
    ffmpeg
        .args(["-v", "info", "-nostdin", "-nostats", "-re", "-i"])
        .arg(file);
    ffmpeg.args(["-c", "copy", "-f", "flv", url]);
    ffmpeg
}

/// A broadcaster whose encoder reconnects until it is told to stop.
#[derive(Debug)]
pub struct Broadcaster {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<u32>>,
}

impl Broadcaster {
    /// Begins to publish the file, again from its start after every loss of the connection.
    pub fn start(file: &Path, url: &str) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let (told, mut command) = (Arc::clone(&stop), command(file, url));
        let thread = std::thread::spawn(move || {
            let mut connections = 0;
            while !told.load(Ordering::Relaxed) {
                let mut encoder = Process::start(&mut command);
                connections += 1;
                while encoder.ended().is_none() && !told.load(Ordering::Relaxed) {
                    std::thread::sleep(Duration::from_millis(50));
                }
                std::thread::sleep(Duration::from_millis(200));
            }
            connections
        });
        Self {
            stop,
            thread: Some(thread),
        }
    }

    /// Ends the broadcast; how many times the encoder was started.
    ///
    /// # Panics
    /// The encoder could not be run.
    pub fn stop(mut self) -> u32 {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.take().unwrap().join().unwrap()
    }
}

impl Drop for Broadcaster {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _panicked = thread.join();
        }
    }
}

//! Clips of half a minute. Each stands for a kind of content, and is made by ffmpeg's own sources, the
//! same way each time.

use crate::common::{Segment, make};

/// A kind of content.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Clip {
    /// A zoom into a fractal, from coarse to fine. Sport: everything moves, ever more detail.
    Motion,
    /// A moving test picture under noise. Film grain, a camera at night: few bits are lost on much.
    Grain,
    /// Scenes of unlike demand, cut where no segment begins. A programme, edited.
    Cuts,
    /// Pictures that stand still for five seconds each. A lecture.
    Slides,
}

impl Clip {
    pub(crate) const ALL: [Self; 4] = [Self::Motion, Self::Grain, Self::Cuts, Self::Slides];

    /// The least of its target that it may have on average: its pictures may need less.
    pub(crate) fn least_mean(self) -> f64 {
        if self == Self::Slides { 0.0 } else { 0.95 }
    }

    /// The clip at a quality of x264's scale, cut every two seconds.
    pub(crate) fn segments(self, size: &str, quality: &str, ladder: &str) -> Vec<Segment> {
        let options = ["-t", "30", "-g", "50", "-crf", quality, "-bf", "2"];
        let segments = make(&[&self.graph(size)], &options, ladder);
        assert_eq!(segments.len(), 15);
        segments
    }

    fn graph(self, size: &str) -> String {
        let size = &format!("size={size}:rate=25");
        let zoom = |from: f64, to: f64, pictures: u32| {
            format!("mandelbrot={size}:start_scale={from}:end_scale={to}:end_pts={pictures}")
        };
        let scene = |n: u8, source: &str, seconds: f64| {
            format!("{source},trim=duration={seconds},setpts=PTS-STARTPTS,format=yuv420p[s{n}];")
        };
        match self {
            Self::Motion => zoom(3.0, 0.02, 750),
            Self::Grain => format!("testsrc2={size},noise=all_seed=7:alls=7:allf=t"),
            Self::Cuts => [
                scene(0, &zoom(1.0, 0.01, 200), 7.3),
                scene(1, &format!("testsrc2={size}"), 5.4),
                scene(2, &format!("cellauto={size}:rule=110:random_seed=3"), 3.6),
                scene(3, &zoom(0.1, 0.001, 300), 8.3),
                scene(4, &format!("testsrc2={size},rotate=a=t/3"), 5.4),
                "[s0][s1][s2][s3][s4]concat=n=5".to_owned(),
            ]
            .concat(),
            Self::Slides => format!("testsrc2={size},fps=1/5,fps=25"),
        }
    }
}

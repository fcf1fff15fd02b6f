//! Which GPUs this machine has, and whether they can be worked with: by node, driver and elements.
//!
//! Pure over a root folder and an answer to "is there such an element?". A device that is there
//! and cannot be used is told with what it lacks: to find out why a GPU idles takes one command.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::kind::Kind;
use crate::gpus::Named;
use crate::pipeline::{NVIDIA_ELEMENTS, va_elements, va_prefix};

/// Where programs find devices of NVIDIA, as `/dev/nvidia0`.
const NVIDIA_NODE: &str = "nvidia";
/// Where they find GPUs by which pictures can be computed, as `/dev/dri/renderD128`.
const RENDER_NODE: &str = "renderD";

/// The plug-in calls the elements so that belong to the first device it can open.
const VA_PLAIN: &str = "va";
const VA_PACKAGES: &str =
    "gstreamer1.0-plugins-bad and a driver, mesa-va-drivers or intel-media-va-driver";

/// A GPU that was found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Found {
    /// What it is.
    pub kind: Kind,
    /// A name for it that is the same after a reboot, as far as nodes are.
    pub name: String,
    /// Its node.
    pub node: PathBuf,
    /// The kernel's driver, if it tells.
    pub driver: String,
    /// For an NVIDIA GPU, what CUDA knows it by: its UUID, or its index where the driver does not tell.
    pub gpu: String,
    /// What it lacks, for a human; empty if nothing.
    pub lacks: String,
}

impl Found {
    /// It can be tried.
    pub fn is_usable(&self) -> bool {
        self.lacks.is_empty()
    }
}

/// There is something that [`find`] would look at: without a node it need not be asked.
pub fn has_nodes(root: &Path) -> bool {
    !(nodes(&root.join("dev"), NVIDIA_NODE).is_empty()
        && nodes(&root.join("dev/dri"), RENDER_NODE).is_empty())
}

/// There is a GPU of NVIDIA, whose driver can be asked what it calls it by.
pub fn has_nvidia(root: &Path) -> bool {
    !nodes(&root.join("dev"), NVIDIA_NODE).is_empty()
}

/// The GPUs of the machine whose file system begins at `root`, in the order of their nodes. `named` is what
/// NVIDIA's driver says of its own, nothing if it cannot be asked.
pub fn find(root: &Path, has: impl Fn(&str) -> bool, named: &[Named]) -> Vec<Found> {
    let mut found = nvidia(root, &has, named);
    found.extend(vaapi(root, &has));
    found
}

/// The number of a node is neither the driver's nor CUDA's of that GPU: what it is called, its driver says.
/// Where it does not, nodes and GPUs are taken to have the same order: each GPU is used once all the same,
/// at worst under the name of another.
fn nvidia(root: &Path, has: impl Fn(&str) -> bool, named: &[Named]) -> Vec<Found> {
    let (kind, nodes) = (Kind::Nvidia, nodes(&root.join("dev"), NVIDIA_NODE));
    let found = |(place, (minor, node)): (usize, (u32, PathBuf))| {
        let own = named.iter().find(|gpu| gpu.minor == minor);
        let (name, gpu) = match own {
            Some(own) => (format!("{kind}-{}", own.index), own.uuid.clone()),
            None if named.is_empty() => (format!("{kind}-{place}"), place.to_string()),
            None => (format!("{kind}-node-{minor}"), String::new()),
        };
        let lacks = match gpu.is_empty() {
            true => "NVIDIA's driver does not know it".to_owned(),
            false => lacks(
                &NVIDIA_ELEMENTS.map(str::to_owned),
                &has,
                "gstreamer1.0-plugins-bad and NVIDIA's driver",
            ),
        };
        Found {
            kind,
            name,
            node: relative(root, &node),
            driver: "nvidia".to_owned(),
            gpu,
            lacks,
        }
    };
    nodes.into_iter().enumerate().map(found).collect()
}

fn vaapi(root: &Path, has: impl Fn(&str) -> bool) -> Vec<Found> {
    let mut found = Vec::new();
    let mut first = true;
    for (number, node) in nodes(&root.join("dev/dri"), RENDER_NODE) {
        let driver = driver(root, &format!("{RENDER_NODE}{number}"));
        if driver == "nvidia" {
            // It has no VA-API, and was found above.
            continue;
        }
        let prefix = va_prefix(number, &has).filter(|prefix| first || prefix != VA_PLAIN);
        let lacks = match &prefix {
            Some(_) => String::new(),
            None if first => lacks(&va_elements(VA_PLAIN), &has, VA_PACKAGES),
            None => lacks(
                &va_elements(&format!("varenderD{number}")),
                &has,
                VA_PACKAGES,
            ),
        };
        first = first && prefix.as_deref() != Some(VA_PLAIN);
        found.push(Found {
            kind: Kind::Vaapi,
            name: format!("{}-{RENDER_NODE}{number}", Kind::Vaapi),
            node: relative(root, &node),
            driver,
            gpu: String::new(),
            lacks,
        });
    }
    found
}

/// Every node of a folder that is called so and a number, by number.
fn nodes(folder: &Path, name: &str) -> Vec<(u32, PathBuf)> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let number = |path: PathBuf| {
        let number = path.file_name()?.to_str()?.strip_prefix(name)?;
        Some((number.parse().ok()?, path))
    };
    let mut nodes: Vec<_> = entries.filter_map(|e| number(e.path())).collect();
    nodes.sort();
    nodes
}

/// The path as programs of that root see it.
fn relative(root: &Path, node: &Path) -> PathBuf {
    Path::new("/").join(node.strip_prefix(root).unwrap_or(node))
}

fn driver(root: &Path, node: &str) -> String {
    let link = root.join("sys/class/drm").join(node).join("device/driver");
    let target = std::fs::read_link(link).ok();
    let name = target.as_deref().and_then(Path::file_name);
    name.map_or_else(String::new, |name| name.to_string_lossy().into_owned())
}

fn lacks(elements: &[String], has: impl Fn(&str) -> bool, packages: &str) -> String {
    let missing: Vec<_> = elements.iter().filter(|name| !has(name)).cloned().collect();
    match missing.as_slice() {
        [] => String::new(),
        some => format!(
            "GStreamer has no {} for it; it takes {packages}",
            some.join(", ")
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A machine with these nodes, and these drivers of render nodes.
    fn machine(nodes: &[&str], drivers: &[(&str, &str)]) -> tempfile::TempDir {
        let root = tempfile::tempdir().unwrap();
        for node in nodes {
            let path = root.path().join("dev").join(node);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, "").unwrap();
        }
        for (node, driver) in drivers {
            let device = root.path().join("sys/class/drm").join(node).join("device");
            std::fs::create_dir_all(&device).unwrap();
            std::os::unix::fs::symlink(
                format!("/sys/bus/pci/drivers/{driver}"),
                device.join("driver"),
            )
            .unwrap();
        }
        root
    }

    fn all(found: &[Found]) -> Vec<(&str, bool)> {
        found
            .iter()
            .map(|f| (f.name.as_str(), f.is_usable()))
            .collect()
    }

    #[test]
    fn a_machine_without_gpus_has_none() {
        let root = machine(&["null", "nvidiactl", "nvidia-uvm", "dri/card0"], &[]);
        assert!(!has_nodes(root.path()));
        assert_eq!(find(root.path(), |_| true, &[]), []);
    }

    #[test]
    fn gpus_are_found_in_the_order_of_their_nodes() {
        let root = machine(&["nvidia1", "nvidia0", "nvidia10"], &[]);
        assert!(has_nodes(root.path()));
        let found = find(root.path(), |_| true, &[]);
        let names = [("nvidia-0", true), ("nvidia-1", true), ("nvidia-2", true)];
        assert_eq!(all(&found), names);
        assert_eq!(
            (found[2].gpu.as_str(), found[2].node.to_str()),
            ("2", Some("/dev/nvidia10"))
        );
    }

    #[test]
    fn a_gpu_is_called_what_its_driver_calls_it() {
        let root = machine(&["nvidia0", "nvidia1", "nvidia2"], &[]);
        let named = |minor, index, uuid: &str| Named {
            minor,
            index,
            uuid: uuid.to_owned(),
        };
        let named = [named(1, 0, "GPU-a"), named(0, 1, "GPU-b")];
        let found = find(root.path(), |_| true, &named);
        assert_eq!(
            all(&found),
            [
                ("nvidia-1", true),
                ("nvidia-0", true),
                ("nvidia-node-2", false)
            ]
        );
        let gpus = [0, 1, 2].map(|n: usize| found[n].gpu.as_str());
        assert_eq!(gpus, ["GPU-b", "GPU-a", ""]);
        assert_eq!(found[2].lacks, "NVIDIA's driver does not know it");
    }

    #[test]
    fn what_a_gpu_lacks_is_said() {
        let root = machine(&["nvidia0", "dri/renderD128"], &[("renderD128", "i915")]);
        let there = ["nvh264enc", "vah264dec", "vapostproc"];
        let found = find(root.path(), |element| there.contains(&element), &[]);
        assert_eq!(
            all(&found),
            [("nvidia-0", false), ("vaapi-renderD128", false)]
        );
        assert!(
            found[0]
                .lacks
                .starts_with("GStreamer has no nvh264dec for it; it takes "),
            "{}",
            found[0].lacks
        );
        assert!(
            found[1].lacks.contains("no vah264enc for it"),
            "{}",
            found[1].lacks
        );
        assert_eq!(found[1].driver, "i915");
    }

    #[test]
    fn the_first_render_node_has_the_plain_elements_and_the_second_its_own() {
        let drivers = [
            ("renderD128", "nvidia"),
            ("renderD129", "amdgpu"),
            ("renderD130", "i915"),
        ];
        let root = machine(
            &["dri/renderD128", "dri/renderD129", "dri/renderD130"],
            &drivers,
        );
        let elements = ["vah264dec", "vapostproc", "vah264enc"];
        let found = find(root.path(), |element| elements.contains(&element), &[]);
        assert_eq!(
            all(&found),
            [("vaapi-renderD129", true), ("vaapi-renderD130", false)]
        );
        let own = |element: &str| element.starts_with("varenderD130");
        let has = |element: &str| elements.contains(&element) || own(element);
        let found = find(root.path(), has, &[]);
        assert_eq!(
            all(&found),
            [("vaapi-renderD129", true), ("vaapi-renderD130", true)]
        );
    }
}

//! GPUs as the system sees them: render nodes, and NVIDIA's cards with or without their driver.

use serde::Serialize;

use super::{Root, field};

/// PCI's number of NVIDIA.
const NVIDIA: &str = "0x10de";
/// PCI's class of what shows pictures.
const DISPLAY: &str = "0x03";

/// A render node: what VA-API can be tried on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RenderNode {
    /// As in `/dev/dri`.
    pub name: String,
    /// The kernel's driver: `i915`, `amdgpu`.
    pub driver: String,
    /// PCI vendor and device, as `8086:9bc5`; empty if it is on no PCI bus.
    pub pci: String,
}

/// Whether there is a card of NVIDIA, and whether it can be used.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case", tag = "state")]
pub enum Nvidia {
    /// None.
    None,
    /// Cards on the bus, and no driver that has them.
    NoDriver {
        /// How many.
        cards: usize,
    },
    /// A driver that has none of the cards, or fewer than there are.
    Broken {
        /// Its version.
        driver: String,
        /// Cards on the bus.
        cards: usize,
        /// Those that the driver has.
        usable: usize,
    },
    /// All is well, as far as the system can tell.
    Ready {
        /// The driver's version.
        driver: String,
        /// Product name and UUID of each card.
        cards: Vec<(String, String)>,
    },
}

pub(super) fn render_nodes(root: &Root) -> Vec<RenderNode> {
    let names = root.names("sys/class/drm").into_iter();
    let node = |name: String| {
        let at = |file: &str| format!("sys/class/drm/{name}/device/{file}");
        let id = |file: &str| {
            let id = root.text(&at(file))?;
            Some(id.strip_prefix("0x").unwrap_or(&id).to_owned())
        };
        let pci = id("vendor").zip(id("device"));
        RenderNode {
            driver: root.link(&at("driver")).unwrap_or_default(),
            pci: pci.map_or_else(String::new, |(vendor, device)| format!("{vendor}:{device}")),
            name,
        }
    };
    names
        .filter(|n| n.starts_with("renderD"))
        .map(node)
        .collect()
}

impl Nvidia {
    pub(super) fn of(root: &Root) -> Self {
        let buses = "sys/bus/pci/devices";
        let is_card = |slot: &String| {
            let at = |file: &str| root.text(&format!("{buses}/{slot}/{file}"));
            at("vendor").as_deref() == Some(NVIDIA)
                && at("class").is_some_and(|class| class.starts_with(DISPLAY))
        };
        let on_bus = root.names(buses).iter().filter(|s| is_card(s)).count();
        let version = root.text("proc/driver/nvidia/version");
        let Some(driver) = version.map(|text| version_in(&text)) else {
            return match on_bus {
                0 => Self::None,
                cards => Self::NoDriver { cards },
            };
        };
        let folder = "proc/driver/nvidia/gpus";
        let told = |slot: String| {
            let text = root.text(&format!("{folder}/{slot}/information"))?;
            let value = |key| field(&text, key, ':').unwrap_or_default().to_owned();
            Some((value("Model"), value("GPU UUID")))
        };
        let cards: Vec<_> = root.names(folder).into_iter().filter_map(told).collect();
        // A card whose firmware does not answer has a UUID of question marks.
        let usable = cards.iter().filter(|(_, uuid)| !uuid.contains('?')).count();
        if usable < on_bus || usable < cards.len() || cards.is_empty() {
            let cards = on_bus.max(cards.len());
            return Self::Broken {
                driver,
                cards,
                usable,
            };
        }
        Self::Ready { driver, cards }
    }
}

/// `NVRM version: NVIDIA UNIX x86_64 Kernel Module  535.183.01  Sun May 12 ...`
fn version_in(text: &str) -> String {
    let line = field(text, "NVRM version", ':').unwrap_or_default();
    let is_version =
        |word: &&str| word.contains('.') && word.chars().all(|c| c.is_ascii_digit() || c == '.');
    let version = line.split_whitespace().find(is_version);
    version.unwrap_or("of unknown version").to_owned()
}

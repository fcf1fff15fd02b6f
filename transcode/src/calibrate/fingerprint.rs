//! What a measurement was made on: it says nothing of another machine, driver or encoder.

use std::path::Path;

use crate::device::Device;

/// Files that tell machines apart. Nothing of `/proc` but what is of a GPU: the unit hides it from a node
/// without one, and what `calibrate` measured in a shell must fit what the unit sees.
const FILES: [&str; 7] = [
    "sys/devices/system/cpu/modalias",
    "sys/devices/system/cpu/cpu0/regs/identification/midr_el1",
    "sys/devices/system/cpu/present",
    "sys/devices/system/cpu/cpu0/cpufreq/cpuinfo_max_freq",
    "sys/class/dmi/id/product_name",
    "sys/class/dmi/id/board_name",
    "proc/driver/nvidia/version",
];

/// This machine, as a line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hardware(String);

impl Hardware {
    /// What the file system that begins at `root` tells.
    pub fn read(root: &Path) -> Self {
        let read = |file: &&str| std::fs::read_to_string(root.join(file)).ok();
        let told: Vec<_> = FILES.iter().filter_map(read).collect();
        // Vendor, family and model; what follows is every feature that the kernel knows by a number.
        let told = told
            .iter()
            .map(|text| text.split(":feature:").next().unwrap_or(text));
        let told: Vec<_> = told.flat_map(str::split_whitespace).collect();
        Self(told.join(" "))
    }

    /// A device of it, as it is set.
    pub fn fingerprint(&self, device: &Device) -> String {
        let workers = match device.finds_workers {
            true => "as many as are best".to_owned(),
            false => device.workers.to_string(),
        };
        let (version, arguments) = (env!("CARGO_PKG_VERSION"), device.arguments().join(" "));
        let (gpu, cpus) = (&device.gpu, &device.cpus);
        let hardware = &self.0;
        format!("{version}; {hardware}; {arguments}; gpu {gpu}; workers {workers} on {cpus:?}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;

    #[test]
    fn another_machine_or_setting_has_another() {
        let root = tempfile::tempdir().unwrap();
        let mut device = Config::default().devices(&[]).remove(0);
        let bare = Hardware::read(root.path()).fingerprint(&device);
        let cpus = root.path().join("sys/devices/system/cpu");
        std::fs::create_dir_all(&cpus).unwrap();
        let model = "cpu:type:x86,ven0002fam0019mod0011:feature:,0000,0001\n";
        std::fs::write(cpus.join("modalias"), model).unwrap();
        std::fs::write(cpus.join("present"), "0-1\n").unwrap();
        let fast = Hardware::read(root.path());
        assert_eq!(fast.0, "cpu:type:x86,ven0002fam0019mod0011 0-1");
        let mut all = vec![bare, fast.fingerprint(&device)];
        device.finds_workers = false;
        device.workers = 3;
        all.push(fast.fingerprint(&device));
        device.encoder.preset = "slow".to_owned();
        all.push(fast.fingerprint(&device));
        all.dedup();
        assert_eq!(all.len(), 4);
    }
}

//! What a measurement was made on: it says nothing of another machine, driver or encoder.

use std::path::Path;

use crate::device::Device;

/// Files that tell machines apart, as far as a service may read them.
const FILES: [&str; 5] = [
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
        let mut told: Vec<_> = FILES.iter().filter_map(read).collect();
        let cpus = std::fs::read_to_string(root.join("proc/cpuinfo")).unwrap_or_default();
        let model = cpus.lines().find(|line| line.starts_with("model name"));
        told.extend(model.map(str::to_owned));
        let told: Vec<_> = told
            .iter()
            .flat_map(|text| text.split_whitespace())
            .collect();
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
        std::fs::create_dir_all(root.path().join("proc")).unwrap();
        let cpus = "processor : 0\nmodel name\t: Fast 9000\n";
        std::fs::write(root.path().join("proc/cpuinfo"), cpus).unwrap();
        let fast = Hardware::read(root.path());
        assert!(fast.fingerprint(&device).contains("model name : Fast 9000"));
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

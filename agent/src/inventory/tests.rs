//! Machines that are not there.

use std::fs;
use std::os::unix::fs::symlink;

use tempfile::TempDir;

use super::*;

/// A root to be filled.
struct Machine(TempDir);

impl Machine {
    fn new(files: &[(&str, &str)]) -> Self {
        let machine = Self(tempfile::tempdir().unwrap());
        for (path, text) in files {
            machine.file(path, text);
        }
        machine
    }

    fn file(&self, path: &str, text: &str) {
        let path = self.0.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    fn link(&self, path: &str, target: &str) {
        let path = self.0.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        symlink(target, path).unwrap();
    }

    fn taken(&self) -> Inventory {
        Inventory::take(self.0.path())
    }
}

#[test]
fn a_server_is_described() {
    let thread = |n, package, core| {
        format!(
            "processor\t: {n}\nmodel name\t: AMD EPYC 7302P\nphysical id\t: {package}\n\
             core id\t\t: {core}\nflags\t\t: fpu sse4_2 avx avx2 aes\n\n"
        )
    };
    let threads = [
        thread(0, 0, 0),
        thread(1, 0, 1),
        thread(2, 0, 0),
        thread(3, 0, 1),
    ];
    let machine = Machine::new(&[
        ("proc/cpuinfo", threads.concat().as_str()),
        (
            "proc/meminfo",
            "MemTotal:  1048576 kB\nMemAvailable: 524288 kB\nSwapTotal: 0 kB\n",
        ),
        ("proc/sys/kernel/osrelease", "6.1.0-18-amd64\n"),
        ("proc/sys/kernel/hostname", "rack-7\n"),
        (
            "etc/os-release",
            "NAME=x\nPRETTY_NAME=\"Debian GNU/Linux 12 (bookworm)\"\n",
        ),
        ("sys/class/dmi/id/sys_vendor", "Supermicro\n"),
        ("sys/block/nvme0n1/size", "2000409264\n"),
        ("sys/block/nvme0n1/queue/rotational", "0\n"),
        ("sys/block/nvme0n1/device/model", "SAMSUNG MZVL\n"),
        ("sys/block/loop0/size", "8\n"),
        ("sys/block/sdb/size", "0\n"),
        ("sys/class/net/eno1/operstate", "up\n"),
        ("sys/class/net/eno1/speed", "10000\n"),
        ("sys/class/net/eno1/address", "aa:bb:cc:dd:ee:ff\n"),
        ("sys/class/net/eno1/device/vendor", "0x8086\n"),
        ("sys/class/net/eno2/operstate", "down\n"),
        ("sys/class/net/eno2/speed", "-1\n"),
        ("sys/class/net/br0/operstate", "unknown\n"),
        ("sys/class/net/lo/operstate", "unknown\n"),
        ("sys/class/net/bonding_masters", ""),
        ("sys/class/drm/renderD128/device/vendor", "0x8086\n"),
        ("sys/class/drm/renderD128/device/device", "0x9bc5\n"),
        ("sys/class/drm/card0/device/vendor", "0x8086\n"),
    ]);
    machine.link(
        "sys/class/drm/renderD128/device/driver",
        "../../bus/drivers/i915",
    );
    machine.link("sys/class/net/eno1/device/driver", "../../drivers/ixgbe");
    let inventory = machine.taken();
    let cpu = &inventory.cpu;
    assert_eq!((cpu.sockets, cpu.cores, cpu.threads), (1, 2, 4));
    assert_eq!(cpu.features, ["sse4_2", "avx", "avx2", "aes"]);
    assert_eq!(inventory.memory.total, 1 << 30);
    let page = Page {
        inventory: &inventory,
        devices: None,
        gpu_driver: "",
    };
    let text = page.to_string();
    for line in [
        "host     rack-7",
        "machine  Supermicro",
        "system   Debian GNU/Linux 12 (bookworm), kernel 6.1.0-18-amd64",
        "cpu      AMD EPYC 7302P: 1 sockets, 2 cores, 4 threads",
        "memory   1.0 GiB, 512.0 MiB available, swap 0 B",
        "disk     nvme0n1: 953.9 GiB, solid SAMSUNG MZVL",
        "network  br0: of unknown state, virtual",
        "network  eno1: up, 10 Gbit/s, ixgbe",
        "network  eno2: down, virtual",
        "vaapi    renderD128: i915 8086:9bc5",
        "nvidia   no card",
        "devices  no transcode service could be asked",
    ] {
        assert!(
            text.lines().any(|l| l == line),
            "{line:?} is not in\n{text}"
        );
    }
    assert_eq!(text.matches("disk ").count(), 1, "{text}");
    assert!(!text.contains("network  lo"), "{text}");
}

#[test]
fn an_arm_board_and_an_empty_machine_are_no_errors() {
    let block = "processor\t: 0\nBogoMIPS\t: 108.00\nFeatures\t: fp asimd aes\n\n";
    let machine = Machine::new(&[("proc/cpuinfo", block)]);
    let cpu = machine.taken().cpu;
    assert_eq!((cpu.sockets, cpu.cores, cpu.threads), (1, 1, 1));
    assert_eq!(cpu.features, ["aes", "asimd"]);

    let nothing = Machine::new(&[]).taken();
    assert_eq!(
        (nothing.cpu, nothing.memory),
        (Cpu::default(), Memory::default())
    );
    assert_eq!(nothing.nvidia, Nvidia::None);
    assert!(nothing.disks.is_empty() && nothing.network.is_empty());
}

#[test]
fn nvidia_without_a_driver_with_a_broken_one_and_with_a_good_one() {
    let machine = Machine::new(&[
        ("sys/bus/pci/devices/0000:01:00.0/vendor", "0x10de\n"),
        ("sys/bus/pci/devices/0000:01:00.0/class", "0x030000\n"),
        // Its sound card is no GPU.
        ("sys/bus/pci/devices/0000:01:00.1/vendor", "0x10de\n"),
        ("sys/bus/pci/devices/0000:01:00.1/class", "0x040300\n"),
    ]);
    let nvidia = machine.taken().nvidia;
    assert_eq!(nvidia, Nvidia::NoDriver { cards: 1 });
    assert!(nvidia.to_string().contains("no driver"), "{nvidia}");

    let version = "NVRM version: NVIDIA UNIX x86_64 Kernel Module  535.183.01  Sun May 12 2024\n";
    machine.file("proc/driver/nvidia/version", version);
    let broken = |usable| Nvidia::Broken {
        driver: "535.183.01".to_owned(),
        cards: 1,
        usable,
    };
    assert_eq!(machine.taken().nvidia, broken(0));
    let information = "proc/driver/nvidia/gpus/0000:01:00.0/information";
    machine.file(
        information,
        "Model: \t Tesla T4\nGPU UUID: \t GPU-????????-????\n",
    );
    assert_eq!(machine.taken().nvidia, broken(0));
    machine.file(
        information,
        "Model: \t Tesla T4\nGPU UUID: \t GPU-12345678-9abc\n",
    );
    let nvidia = machine.taken().nvidia;
    assert_eq!(nvidia.to_string(), "driver 535.183.01: Tesla T4");
    let json = serde_json::to_value(&nvidia).unwrap();
    assert_eq!(json["state"], "ready");
}

#[test]
fn this_machine_has_a_processor_memory_and_a_clock() {
    let inventory = Inventory::take(Path::new("/"));
    assert!(inventory.cpu.threads > 0 && inventory.memory.total > 0);
    assert!(!inventory.system.kernel.is_empty());
    assert!(!inventory.clock.to_string().is_empty());
}

//! A network of the test's own: machines that are network namespaces, on one switch.
//!
//! A namespace lives as long as a process in it, here a `sleep`: nothing has a name that two
//! tests could share or that a killed test could leave behind. Machines reach each other and
//! nobody else; what the test itself asks of them goes over unix sockets, which know no
//! namespaces. [`Network::unplug`] is a real partition: the cable is out, and every packet lost.

use std::ffi::OsStr;
use std::io::Write;
use std::net::Ipv4Addr;
use std::process::Command;

use crate::process::Process;

/// A namespace that a test forgot ends by itself after so many seconds.
const HOLD: &str = "3600";

/// A switch and the machines on it, numbered from 1.
#[derive(Debug)]
pub struct Network {
    switch: Process,
    machines: Vec<Process>,
}

impl Network {
    /// Whether this machine lets a test make namespaces: it takes root and iproute2. If not, it
    /// says so past the test harness's capture, since a test that silently did not run would be
    /// worse than none.
    pub fn is_possible(test: &str) -> bool {
        let try_it = |program: &str, args: &[&str]| {
            let run = Command::new(program).args(args).output();
            run.is_ok_and(|output| output.status.success())
        };
        let possible = nix::unistd::Uid::effective().is_root()
            && try_it("unshare", &["-n", "true"])
            && try_it("ip", &["-V"]);
        if !possible {
            let text = format!("\nNOT RUN: {test}: network namespaces need root and ip\n");
            let _gone = std::io::stderr().write_all(text.as_bytes());
        }
        possible
    }

    /// Makes it, with every cable in.
    ///
    /// # Panics
    /// The kernel refuses.
    pub fn start(machines: u8) -> Self {
        let network = Self {
            switch: namespace(),
            machines: (0..machines).map(|_| namespace()).collect(),
        };
        let switch = |args: &str| ip(&network.switch, args);
        switch("link add switch type bridge");
        switch("link set switch up");
        for (machine, number) in network.machines.iter().zip(1_u8..) {
            let pid = machine.pid();
            switch(&format!(
                "link add port{number} type veth peer name eth0 netns {pid}"
            ));
            switch(&format!("link set port{number} master switch up"));
            ip(
                machine,
                &format!("addr add {}/24 dev eth0", address(number)),
            );
            ip(machine, "link set lo up");
            ip(machine, "link set eth0 up");
        }
        network
    }

    /// A command that will run on a machine.
    pub fn on(&self, machine: u8, program: impl AsRef<OsStr>) -> Command {
        enter(self.machine(machine), program)
    }

    /// Pulls a machine's cable.
    pub fn unplug(&self, machine: u8) {
        ip(&self.switch, &format!("link set port{machine} down"));
    }

    /// Puts it in again.
    pub fn plug(&self, machine: u8) {
        ip(&self.switch, &format!("link set port{machine} up"));
    }

    fn machine(&self, number: u8) -> &Process {
        &self.machines[usize::from(number) - 1]
    }
}

/// A machine's address.
pub fn address(machine: u8) -> Ipv4Addr {
    Ipv4Addr::new(10, 9, 0, machine)
}

fn namespace() -> Process {
    let process = Process::start(Command::new("unshare").args(["-n", "--", "sleep", HOLD]));
    // It is in its namespace once it is no longer `unshare`.
    let comm = format!("/proc/{}/comm", process.pid());
    while std::fs::read_to_string(&comm).is_ok_and(|name| name.trim() != "sleep") {
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    process
}

fn enter(namespace: &Process, program: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new("nsenter");
    let target = namespace.pid().to_string();
    command
        .args(["--net", "--target", &target, "--"])
        .arg(program);
    command
}

fn ip(namespace: &Process, args: &str) {
    let output = enter(namespace, "ip")
        .args(args.split(' '))
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "ip {args}: {said}");
}

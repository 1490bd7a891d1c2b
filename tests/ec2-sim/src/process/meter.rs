//! An instance's own `/proc` and `/sys`: what its processes use, as a machine of its type would show it.
//!
//! All instances of process mode share this machine, whose counters tell nothing of one of them. So what reads
//! `SPAWN_PROC` and `SPAWN_SYS`, the boot runner's monitor and the CloudWatch agent, finds there the processor time, memory and
//! disk bytes of the instance's process group. Network cannot be told apart by processes: those counters are this machine's.

use std::fs;
use std::io;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::catalogue::InstanceType;

/// Between two readings.
const PERIOD: Duration = Duration::from_secs(1);
/// Ticks of processor time in a second: `USER_HZ` of every Linux that this runs on (proc(5)).
const TICKS_PER_S: u64 = 100;
/// What the kernel counts disk bytes in (Documentation/admin-guide/iostats).
const SECTOR: u64 = 512;
/// A page on every machine that this runs on; statm counts in pages.
const PAGE_KIB: u64 = 4;

/// What processes have used since they began.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Used {
    user_ticks: u64,
    system_ticks: u64,
    read_bytes: u64,
    written_bytes: u64,
}

/// The meter of one instance.
#[derive(Debug)]
pub(super) struct Meter {
    dir: PathBuf,
    vcpus: u64,
    memory_kib: u64,
    began: Instant,
    /// The last reading, and all that was used up to it.
    last: Used,
    total: Used,
}

impl Meter {
    /// Makes the directories with counters that stand at nothing. `None` on a machine without `/proc`, where the instance reads
    /// whatever there is.
    pub(super) fn new(dir: &Path, of_type: &InstanceType) -> io::Result<Option<Self>> {
        if !Path::new("/proc/self/stat").exists() {
            return Ok(None);
        }
        let meter = Self {
            dir: dir.join("kernel"),
            vcpus: u64::from(of_type.vcpus),
            memory_kib: of_type.memory_mib * 1024,
            began: Instant::now(),
            last: Used::default(),
            total: Used::default(),
        };
        fs::create_dir_all(meter.proc())?;
        fs::create_dir_all(meter.disk())?;
        for shared in ["net", "uptime"] {
            symlink(Path::new("/proc").join(shared), meter.proc().join(shared))?;
        }
        meter.write(0)?;
        Ok(Some(meter))
    }

    /// Where the instance finds its `/proc` and its `/sys`.
    pub(super) fn places(&self) -> [(&'static str, PathBuf); 2] {
        [
            ("SPAWN_PROC", self.proc()),
            ("SPAWN_SYS", self.dir.join("sys")),
        ]
    }

    /// Keeps the counters of a process group up to date, until it is dropped.
    pub(super) async fn run(mut self, group: i32) {
        loop {
            tokio::time::sleep(PERIOD).await;
            let read = tokio::task::spawn_blocking(move || {
                self.read(group);
                self
            });
            match read.await {
                Ok(meter) => self = meter,
                Err(_stopping) => return,
            }
        }
    }

    fn read(&mut self, group: i32) {
        let mut used = Used::default();
        let mut resident = 0;
        for pid in processes_of(group) {
            // One that ends meanwhile is counted with its parent, which has waited for it.
            if let Some(process) = stat(pid) {
                used.user_ticks += process.user_ticks;
                used.system_ticks += process.system_ticks;
            }
            let (read, written) = io_of(pid).unwrap_or_default();
            used.read_bytes += read;
            used.written_bytes += written;
            resident += resident_kib(pid).unwrap_or_default();
        }
        self.total = self.total.grown(self.last, used);
        self.last = used;
        // A directory that is gone belongs to an instance that is gone.
        let _gone = self.write(resident);
    }

    fn proc(&self) -> PathBuf {
        self.dir.join("proc")
    }

    fn disk(&self) -> PathBuf {
        self.dir.join("sys/block/nvme0n1")
    }

    fn write(&self, resident_kib: u64) -> io::Result<()> {
        let used = self.total;
        let passed = u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX);
        let all = passed.saturating_mul(TICKS_PER_S * self.vcpus) / 1000;
        let idle = all.saturating_sub(used.user_ticks + used.system_ticks);
        let (user, system) = (used.user_ticks, used.system_ticks);
        put(
            &self.proc().join("stat"),
            &format!("cpu  {user} 0 {system} {idle} 0 0 0 0 0 0\n"),
        )?;
        let free = self.memory_kib.saturating_sub(resident_kib);
        put(
            &self.proc().join("meminfo"),
            &format!(
                "MemTotal: {} kB\nMemFree: {free} kB\nMemAvailable: {free} kB\nBuffers: 0 kB\nCached: 0 kB\n",
                self.memory_kib
            ),
        )?;
        let (read, written) = (used.read_bytes / SECTOR, used.written_bytes / SECTOR);
        put(
            &self.disk().join("stat"),
            &format!("0 0 {read} 0 0 0 {written} 0 0 0 0\n"),
        )
    }
}

impl Used {
    /// The sum with what was used between two readings. What a process took along that nobody waited for is lost, and a counter
    /// never goes back.
    fn grown(self, before: Self, now: Self) -> Self {
        Self {
            user_ticks: self.user_ticks + now.user_ticks.saturating_sub(before.user_ticks),
            system_ticks: self.system_ticks + now.system_ticks.saturating_sub(before.system_ticks),
            read_bytes: self.read_bytes + now.read_bytes.saturating_sub(before.read_bytes),
            written_bytes: self.written_bytes
                + now.written_bytes.saturating_sub(before.written_bytes),
        }
    }
}

/// Whole or not at all, for whoever reads at this moment.
fn put(path: &Path, text: &str) -> io::Result<()> {
    let new = path.with_extension("new");
    fs::write(&new, text)?;
    fs::rename(new, path)
}

fn processes_of(group: i32) -> Vec<u32> {
    let Ok(entries) = fs::read_dir("/proc") else {
        return Vec::new();
    };
    entries
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .filter(|pid| stat(*pid).is_some_and(|process| process.group == group))
        .collect()
}

/// What is read of `/proc/PID/stat`.
#[derive(Debug, PartialEq, Eq)]
struct Process {
    group: i32,
    user_ticks: u64,
    system_ticks: u64,
}

fn stat(pid: u32) -> Option<Process> {
    parse_stat(&fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)
}

/// The time of the process and of those that it has waited for (proc(5), `/proc/pid/stat`).
fn parse_stat(text: &str) -> Option<Process> {
    // The command may hold blanks and brackets: what follows its last bracket is read, from field 3 on.
    let fields: Vec<&str> = text.rsplit_once(')')?.1.split_ascii_whitespace().collect();
    let field = |number: usize| fields.get(number - 3)?.parse::<u64>().ok();
    Some(Process {
        group: fields.get(5 - 3)?.parse().ok()?,
        user_ticks: field(14)? + field(16)?,
        system_ticks: field(15)? + field(17)?,
    })
}

/// Bytes that went to and from disks, those of waited-for children included.
fn io_of(pid: u32) -> Option<(u64, u64)> {
    let text = fs::read_to_string(format!("/proc/{pid}/io")).ok()?;
    let line = |name: &str| {
        let found = text.lines().find_map(|line| line.strip_prefix(name))?;
        found.trim().parse().ok()
    };
    Some((line("read_bytes:")?, line("write_bytes:")?))
}

fn resident_kib(pid: u32) -> Option<u64> {
    let text = fs::read_to_string(format!("/proc/{pid}/statm")).ok()?;
    let pages: u64 = text.split_ascii_whitespace().nth(1)?.parse().ok()?;
    Some(pages * PAGE_KIB)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_with_brackets_and_blanks_is_no_obstacle() {
        let text = "7 (a) b (c) S 1 42 42 0 -1 4194304 99 0 0 0 10 20 300 4000 20 0 1 0 5 1 1\n";
        let expected = Process {
            group: 42,
            user_ticks: 310,
            system_ticks: 4_020,
        };
        assert_eq!(parse_stat(text), Some(expected));
        assert_eq!(parse_stat("7 (x"), None);
    }

    #[test]
    fn counters_never_go_back() {
        let used = |user_ticks| Used {
            user_ticks,
            ..Used::default()
        };
        let total = used(100).grown(used(100), used(130));
        assert_eq!(total, used(130));
        // A process went with 50 ticks that nobody waited for; the others have used 10 more since.
        let total = total.grown(used(130), used(90));
        assert_eq!(total, used(130));
        assert_eq!(total.grown(used(90), used(95)), used(135));
    }

    #[test]
    fn the_machine_of_an_instance_has_its_types_size() {
        let dir = std::env::temp_dir().join(format!("ec2-sim-meter-{}", std::process::id()));
        let of_type = crate::catalogue::instance_type("c5.4xlarge");
        let Some(Ok(Some(meter))) = of_type.map(|of_type| Meter::new(&dir, of_type)) else {
            return;
        };
        let text = fs::read_to_string(meter.proc().join("meminfo"));
        assert!(text.is_ok_and(|text| text.starts_with("MemTotal: 33554432 kB\n")));
        assert_eq!(meter.vcpus, 16);
        assert!(meter.proc().join("net/dev").exists());
        assert!(fs::remove_dir_all(dir).is_ok());
    }
}

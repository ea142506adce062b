//! What the machine has for calls: memory, mappings and descriptors.

use std::fs;
use std::path::{Path, PathBuf};

/// What is known of a machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Machine {
    /// The bytes of memory that this process may use, if that can be found out.
    pub(super) memory: Option<usize>,
    /// How many regions of its address space a process may tell apart, if there is such a bound.
    pub(super) mappings: Option<usize>,
    /// How many files and connections this process may have open, if there is such a bound.
    pub(super) descriptors: Option<usize>,
}

impl Machine {
    /// Looks at the machine that this process runs on.
    pub(super) fn look() -> Self {
        Self::at(Path::new("/"))
    }

    fn at(root: &Path) -> Self {
        let installed = fs::read_to_string(root.join("proc/meminfo"))
            .ok()
            .and_then(|text| installed(&text));
        let granted = fs::read_to_string(root.join("proc/self/cgroup"))
            .ok()
            .and_then(|text| granted(&text, &root.join("sys/fs/cgroup")));
        Self {
            memory: installed.into_iter().chain(granted).min(),
            mappings: fs::read_to_string(root.join("proc/sys/vm/max_map_count"))
                .ok()
                .and_then(|text| text.trim().parse().ok()),
            descriptors: fs::read_to_string(root.join("proc/self/limits"))
                .ok()
                .and_then(|text| descriptors(&text)),
        }
    }
}

/// `MemTotal` of `/proc/meminfo`, in bytes.
fn installed(meminfo: &str) -> Option<usize> {
    let line = meminfo
        .lines()
        .find_map(|it| it.strip_prefix("MemTotal:"))?;
    let kibibytes: usize = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    kibibytes.checked_mul(1 << 10)
}

/// The soft limit of open files in `/proc/self/limits`.
fn descriptors(limits: &str) -> Option<usize> {
    let line = limits
        .lines()
        .find_map(|it| it.strip_prefix("Max open files"))?;
    line.split_whitespace().next()?.parse().ok()
}

/// The lowest limit of the control groups that this process is in, of version 2 or 1. A group's limit
/// holds for all below it. In a container, the path may be that of the machine outside, and the group
/// of the container the root of what can be seen.
fn granted(groups: &str, root: &Path) -> Option<usize> {
    let limits = groups.lines().flat_map(|line| {
        let mut parts = line.splitn(3, ':');
        let (_, controllers, path) = (parts.next(), parts.next(), parts.next());
        let (mount, file) = match controllers {
            Some("") => (root.to_owned(), "memory.max"),
            Some(names) if names.split(',').any(|name| name == "memory") => {
                (root.join("memory"), "memory.limit_in_bytes")
            }
            Some(_) | None => return Vec::new(),
        };
        let path = path.unwrap_or("/").trim_start_matches('/');
        let inner = Path::new(path).ancestors().map(|group| mount.join(group));
        let limits = inner.filter_map(|group: PathBuf| {
            let text = fs::read_to_string(group.join(file)).ok()?;
            // Version 2 says `max` where there is none, and version 1 a number that nothing reaches.
            text.trim().parse::<usize>().ok()
        });
        limits.collect()
    });
    limits.min()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn machine(files: &[(&str, &str)]) -> Machine {
        let root = tempfile::tempdir().unwrap();
        for (path, text) in files {
            let path = root.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        Machine::at(root.path())
    }

    const MEMINFO: (&str, &str) = (
        "proc/meminfo",
        "MemTotal:        2048 kB\nMemFree:          100 kB\n",
    );

    #[test]
    fn a_machine_has_its_memory_and_a_container_what_it_is_given() {
        let bare = machine(&[
            MEMINFO,
            ("proc/sys/vm/max_map_count", "65530\n"),
            (
                "proc/self/limits",
                "Limit                     Soft Limit           Hard Limit           Units     \n\
                 Max open files            1024                 524288               files     \n",
            ),
        ]);
        assert_eq!(bare.memory, Some(2 << 20));
        assert_eq!(bare.mappings, Some(65_530));
        assert_eq!(bare.descriptors, Some(1024));

        let version_2 = [
            MEMINFO,
            ("proc/self/cgroup", "0::/outer/inner\n"),
            ("sys/fs/cgroup/outer/memory.max", "1048576\n"),
            ("sys/fs/cgroup/outer/inner/memory.max", "max\n"),
        ];
        assert_eq!(machine(&version_2).memory, Some(1 << 20));

        // The path is that of the machine outside.
        let container = [
            ("proc/self/cgroup", "0::/system.slice/docker-1.scope\n"),
            ("sys/fs/cgroup/memory.max", "524288\n"),
        ];
        assert_eq!(machine(&container).memory, Some(512 << 10));

        let version_1 = [
            MEMINFO,
            ("proc/self/cgroup", "5:cpu,cpuacct:/a\n4:memory:/a\n0::/\n"),
            ("sys/fs/cgroup/memory/a/memory.limit_in_bytes", "4096\n"),
            (
                "sys/fs/cgroup/memory/memory.limit_in_bytes",
                "9223372036854771712\n",
            ),
        ];
        assert_eq!(machine(&version_1).memory, Some(4096));
    }

    #[test]
    fn what_cannot_be_found_out_bounds_nothing() {
        let nothing = Machine {
            memory: None,
            mappings: None,
            descriptors: None,
        };
        assert_eq!(machine(&[]), nothing);
        let odd = [
            ("proc/meminfo", "MemTotal: much\n"),
            ("proc/self/cgroup", "odd\n0::/../..\n"),
            ("proc/self/limits", "Max open files  unlimited  unlimited\n"),
        ];
        assert_eq!(machine(&odd), nothing);
    }
}

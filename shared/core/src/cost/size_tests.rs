use super::*;
use crate::pattern;
use crate::ports::{Accelerator, AcceleratorKind};

fn used(name: &str, cpu: u64, memory: u64) -> Utilisation {
    Utilisation {
        instance_type: name.to_owned(),
        region: "us-east-1".parse().unwrap(),
        cpu_percent: Some(cpu),
        memory_percent: Some(memory),
    }
}

/// Sizes with their vCPUs.
type Sizes = &'static [(&'static str, u32)];

/// Family, architecture, GiB for each vCPU, and the sizes (Amazon EC2 instance types).
const FAMILIES: [(&str, &str, u64, Sizes); 14] = [
    ("c5", "x86_64", 2, SIZES_OF_C5),
    ("m5", "x86_64", 4, SIZES),
    ("r5", "x86_64", 8, SIZES),
    ("c6i", "x86_64", 2, SIZES),
    ("m6i", "x86_64", 4, SIZES),
    ("r6i", "x86_64", 8, SIZES),
    ("c7i", "x86_64", 2, SIZES),
    ("c7a", "x86_64", 2, SIZES),
    ("m7a", "x86_64", 4, SIZES),
    ("m4", "x86_64", 4, &[("2xlarge", 8), ("10xlarge", 40)]),
    ("c6g", "arm64", 2, SIZES),
    ("m6g", "arm64", 4, SIZES),
    ("c7g", "arm64", 2, SIZES),
    ("t3", "x86_64", 4, &[("large", 2), ("2xlarge", 8)]),
];
const SIZES: Sizes = &[
    ("large", 2),
    ("xlarge", 4),
    ("2xlarge", 8),
    ("4xlarge", 16),
    ("8xlarge", 32),
    ("16xlarge", 64),
];
const SIZES_OF_C5: Sizes = &[
    ("large", 2),
    ("xlarge", 4),
    ("2xlarge", 8),
    ("4xlarge", 16),
    ("9xlarge", 36),
    ("18xlarge", 72),
];

fn facts(name: &str, architecture: &str, vcpus: u32, memory_mib: u64) -> TypeFacts {
    TypeFacts {
        name: name.to_owned(),
        architectures: vec![architecture.to_owned()],
        vcpus,
        memory_mib,
        on_demand: true,
        ..TypeFacts::default()
    }
}

/// All that EC2 offers.
fn offered() -> Vec<TypeFacts> {
    let mut all = Vec::new();
    for (family, architecture, gib, sizes) in FAMILIES {
        for (size, vcpus) in sizes {
            let name = format!("{family}.{size}");
            let memory_mib = u64::from(*vcpus) * gib * 1_024;
            all.push(facts(&name, architecture, *vcpus, memory_mib));
        }
    }
    all.push(facts("c5n.4xlarge", "x86_64", 16, 43_008));
    all.push(facts("hpc6a.48xlarge", "x86_64", 96, 393_216));
    all.push(TypeFacts {
        instance_storage: true,
        ..facts("m5d.4xlarge", "x86_64", 16, 65_536)
    });
    all.push(TypeFacts {
        bare_metal: true,
        ..facts("m5.metal", "x86_64", 1, 393_216)
    });
    let gpu = Accelerator {
        name: "A10G".to_owned(),
        kind: AcceleratorKind::Gpu,
        count: 1,
        memory_mib: 24_576,
    };
    all.push(TypeFacts {
        accelerators: vec![gpu],
        ..facts("g5.4xlarge", "x86_64", 16, 65_536)
    });
    all
}

/// The candidates among what EC2 answers to the questions.
fn found(used: &Utilisation) -> Vec<String> {
    let questions = questions(&used.instance_type);
    let asked = |one: &TypeFacts| {
        questions
            .iter()
            .any(|asked| pattern::matches(&one.name, asked))
    };
    let answered: Vec<TypeFacts> = offered().into_iter().filter(asked).collect();
    candidates(used, &answered)
        .into_iter()
        .map(|one| one.name.clone())
        .collect()
}

#[test]
fn the_matrix_tells_what_work_is_short_of() {
    for (cpu, memory, expected) in [
        (90, 20, Bound::Cpu),
        (20, 90, Bound::Memory),
        (80, 80, Bound::Both),
        (10, 10, Bound::Neither),
    ] {
        assert_eq!(bound(&used("m5.xlarge", cpu, memory)), Some(expected));
    }
}

#[test]
fn the_smallest_of_each_family_with_room_for_what_was_used_would_have_done() {
    for (name, cpu, memory, expected) in [
        // 16 vCPUs at 20 % are 4 with room, 32 GiB at 10 % are 4.
        (
            "c5.4xlarge",
            20,
            10,
            "c5.xlarge c6i.xlarge m5.xlarge m6i.xlarge r5.xlarge r6i.xlarge",
        ),
        // 16 GiB at 90 % need all 16: twice the vCPUs of C, half those of R.
        (
            "m5.xlarge",
            30,
            90,
            "c5.2xlarge c6i.2xlarge m5.xlarge m6i.xlarge r5.large r6i.large",
        ),
        // Work that fills its processors needs as many, and no more than it had: those of C without the memory of R.
        (
            "r5.4xlarge",
            100,
            10,
            "c5.4xlarge c6i.4xlarge m5.4xlarge m6i.4xlarge r5.4xlarge r6i.4xlarge",
        ),
        // Sizes are those that EC2 has: there is no c5.8xlarge and no m5.9xlarge.
        (
            "c5.9xlarge",
            70,
            1,
            "c5.9xlarge c6i.8xlarge m5.8xlarge m6i.8xlarge r5.8xlarge r6i.8xlarge",
        ),
        (
            "c5.9xlarge",
            1,
            1,
            "c5.large c6i.large m5.large m6i.large r5.large r6i.large",
        ),
        // A type's own generation is compared, too.
        (
            "m4.10xlarge",
            40,
            1,
            "c5.9xlarge c6i.8xlarge m4.10xlarge m5.8xlarge m6i.8xlarge r5.8xlarge r6i.8xlarge",
        ),
        (
            "c7i.xlarge",
            10,
            10,
            "c5.large c6i.large c7i.large m5.large m6i.large r5.large r6i.large",
        ),
        // Work that ran on credits has them nowhere else; none of its own family is proposed.
        (
            "t3.2xlarge",
            10,
            10,
            "c5.large c6i.large m5.large m6i.large r5.large r6i.large",
        ),
        // An image for arm64 starts on arm64 alone.
        ("c7g.4xlarge", 20, 10, "c6g.xlarge c7g.xlarge m6g.xlarge"),
        // Whole cores are not as many threads.
        ("c7a.4xlarge", 20, 10, "c7a.xlarge m7a.xlarge"),
    ] {
        assert_eq!(
            found(&used(name, cpu, memory)).join(" "),
            expected,
            "{name}"
        );
    }
}

#[test]
fn nothing_is_proposed_for_what_is_chosen_for_more_than_processors_and_memory() {
    let offered = offered();
    for (name, why) in [
        ("c5n.4xlarge", "its network"),
        ("hpc6a.48xlarge", "its network"),
        ("m5d.4xlarge", "its own disks"),
        ("m5.metal", "being a whole machine"),
        ("g5.4xlarge", "its accelerators"),
    ] {
        let one = offered.iter().find(|one| one.name == name).unwrap();
        assert_eq!(apart(one), Some(why), "{name}");
        assert!(candidates(&used(name, 1, 1), &offered).is_empty(), "{name}");
    }
    assert!(candidates(&used("p9.large", 1, 1), &offered).is_empty());
}

#[test]
fn what_was_not_measured_is_named_with_what_to_ask_for() {
    let words = |cpu, memory, wanted: &[InstanceMetric]| {
        let used = Utilisation {
            cpu_percent: cpu,
            memory_percent: memory,
            ..used("c5.large", 1, 1)
        };
        assert_eq!(bound(&used), None);
        assert!(candidates(&used, &offered()).is_empty());
        unmeasured(&used, &wanted.iter().copied().collect()).unwrap()
    };
    let (cpu, memory) = (
        InstanceMetric::CpuUtilization,
        InstanceMetric::MemoryUtilization,
    );
    assert_eq!(
        words(Some(3), None, &[cpu]),
        "memory was not measured: ask for `memory_utilization` in the document's `instance_metrics`"
    );
    assert_eq!(
        words(None, Some(3), &[memory]),
        "CPU was not measured: ask for `cpu_utilization` in the document's `instance_metrics`"
    );
    assert_eq!(
        words(None, None, &[]),
        "neither CPU nor memory was measured: ask for `cpu_utilization` and `memory_utilization` in the document's \
         `instance_metrics`"
    );
    let asked = words(None, None, &[cpu, memory]);
    assert!(
        asked.starts_with("neither CPU nor memory was measured, though the document asks for it"),
        "{asked}"
    );
    let all = unmeasured(&used("c5.large", 1, 1), &Wanted::new());
    assert_eq!(all, None);
}

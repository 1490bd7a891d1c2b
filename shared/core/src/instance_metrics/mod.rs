//! What members report of their machines, where a document asks for it: names, how the CloudWatch agent is told, the price.

mod agent;
mod price;

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

pub use agent::lines;
pub(crate) use price::warnings;
pub use price::{Price, of_runs, price};

/// A metric of a machine, in the namespace `spawn` with the dimension `InstanceId`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum InstanceMetric {
    /// How much of its processors is in use, in percent.
    CpuUtilization,
    /// How much of its memory is in use, in percent.
    MemoryUtilization,
    /// What is read from its disks, in MB/s; a megabyte has 1,000,000 bytes.
    DiskReadMb,
    /// What is written to its disks, in MB/s.
    DiskWriteMb,
    /// What comes in from the network, in MB/s.
    NetworkInMb,
    /// What goes out to the network, in MB/s.
    NetworkOutMb,
    /// How busy its NVIDIA GPUs are, in percent.
    GpuUtilization,
}

/// Those that a sweep wants; empty: none.
pub type Wanted = BTreeSet<InstanceMetric>;

impl InstanceMetric {
    /// All of them, in the order of the operations guide.
    pub const ALL: [Self; 7] = [
        Self::CpuUtilization,
        Self::MemoryUtilization,
        Self::DiskReadMb,
        Self::DiskWriteMb,
        Self::NetworkInMb,
        Self::NetworkOutMb,
        Self::GpuUtilization,
    ];

    /// The name in CloudWatch and in documents.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::CpuUtilization => "cpu_utilization",
            Self::MemoryUtilization => "memory_utilization",
            Self::DiskReadMb => "disk_read_mb",
            Self::DiskWriteMb => "disk_write_mb",
            Self::NetworkInMb => "network_in_mb",
            Self::NetworkOutMb => "network_out_mb",
            Self::GpuUtilization => "gpu_utilization",
        }
    }

    /// Whether it is sent by type and by sweep as well: what right-sizing and the dashboards compare.
    fn is_compared(self) -> bool {
        match self {
            Self::CpuUtilization | Self::MemoryUtilization | Self::GpuUtilization => true,
            Self::DiskReadMb | Self::DiskWriteMb | Self::NetworkInMb | Self::NetworkOutMb => false,
        }
    }

    /// Whether a machine of this type can have it. An accelerator need not be NVIDIA's: the machine itself looks for that.
    fn is_of(self, has_accelerator: bool) -> bool {
        self != Self::GpuUtilization || has_accelerator
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_and_documents_call_a_metric_by_its_name_in_cloudwatch() {
        for metric in InstanceMetric::ALL {
            let in_row = serde_json::to_value(metric).unwrap();
            assert_eq!(in_row, metric.as_str());
        }
        assert_eq!(Wanted::from(InstanceMetric::ALL).len(), 7);
    }
}

//! A world whose members run, and what a test does to it.

use std::future::Future;
use std::sync::Arc;

use dns_updater::{Deployment, Input, Ports, handle};
use serde_json::{Value, json};
use simulation::{Cloud, Faults, MemoryLedger, Route53, VirtualTime, lane, sweep};
use spawn_core::dns::{AddressKind, Naming};
use spawn_core::errors::FunctionError;
use spawn_core::ids::{InstanceArn, SweepId};
use spawn_core::ledger::{Key, Ledger, Row, Stored};
use spawn_core::rows::{Addresses, InstanceRow, MemberRow, SweepRow, member_key};
use spawn_core::state::{MemberState, SweepStatus};
use spawn_core::stream::Change;

pub const START: u64 = 1_769_000_000_000;
pub const SUFFIX: &str = "1kpqzg2c.example.com";
const LANE: &str = "us-east-1.on-demand";

/// Everything outside of the function.
pub struct World {
    pub deaths: Arc<Faults>,
    pub time: VirtualTime,
    pub ledger: MemoryLedger,
    pub zone: Route53,
    pub ec2: Cloud,
    pub deployment: Deployment,
}

pub fn arn(sweep: &SweepId, index: u32) -> InstanceArn {
    let digits: u32 = sweep.as_str().bytes().map(u32::from).sum();
    format!("arn:aws:ec2:us-east-1:123456789012:instance/i-{digits:09x}{index:08x}")
        .parse()
        .unwrap()
}

pub fn private_ip(index: u32) -> std::net::Ipv4Addr {
    std::net::Ipv4Addr::from_bits(0x0a00_0000 + index)
}

impl World {
    /// A deployment that names members by addresses of this kind.
    pub fn new(address: AddressKind) -> Self {
        let deaths = Arc::new(Faults::default());
        let time = VirtualTime::starting_at(START);
        let naming = Naming::new("example.com", "Z1", "123456789012", address, 60);
        Self {
            ledger: MemoryLedger::new(Arc::clone(&deaths)),
            zone: Route53::new(time.clone(), Arc::clone(&deaths)),
            ec2: Cloud::new(Arc::clone(&deaths), simulation::VirtualClock::default()),
            deployment: Deployment {
                naming: Some(naming.unwrap()),
                member_role: "spawn-instance-role".to_owned(),
            },
            deaths,
            time,
        }
    }

    pub fn put(&self, rows: Vec<Row>) {
        self.time
            .run_one(self.ledger.put_all(rows))
            .unwrap()
            .unwrap();
    }

    /// A sweep of that name whose members run, as the ledger has it.
    pub fn running(&self, name: &str, members: u32) -> SweepId {
        let row = SweepRow {
            sweep_id: SweepId::from(format!("{name}-20260101-abcdef").as_str()),
            name: name.to_owned(),
            status: SweepStatus::Running,
            dns_label: Some(name.to_owned()),
            ..sweep(members, &[LANE], None)
        };
        let id = row.sweep_id.clone();
        let of_members = (0..members).flat_map(|index| {
            let member = self.member(&row, index);
            let instance = InstanceRow::assigned(
                arn(&row.sweep_id, index),
                row.sweep_id.clone(),
                index,
                String::new(),
                None,
            );
            [member.row().unwrap(), instance.row().unwrap()]
        });
        self.put(
            std::iter::once(row.row().unwrap())
                .chain(of_members)
                .collect(),
        );
        id
    }

    fn member(&self, sweep: &SweepRow, index: u32) -> MemberRow {
        MemberRow {
            state: MemberState::Running,
            live: true,
            instance: Some(arn(&sweep.sweep_id, index)),
            running_at: Some(START),
            launched_at: Some(START),
            addresses: Addresses {
                private_ip: Some(private_ip(index)),
                ..Addresses::default()
            },
            ..MemberRow::planned(sweep.sweep_id.clone(), sweep.shards, index, lane(LANE))
        }
    }

    /// Changes a member's row, and answers the change as the stream tells it.
    pub fn change(&self, sweep: &SweepId, index: u32, with: impl FnOnce(&mut MemberRow)) -> Change {
        let key = self.key(sweep, index);
        let old = self.row(&key).unwrap();
        let mut member = MemberRow::from_row(old.clone()).unwrap();
        with(&mut member);
        let new = member.row().unwrap();
        self.put(vec![new.clone()]);
        Change {
            sequence_number: index.to_string(),
            key,
            old: Some(old),
            new: Some(new),
            at: self.time_ms(),
        }
    }

    fn key(&self, sweep: &SweepId, index: u32) -> Key {
        let meta = self
            .row(&Key::new(format!("SWEEP#{sweep}"), "META"))
            .unwrap();
        let shards = meta.attributes["shards"].as_u64().unwrap();
        member_key(sweep, u32::try_from(shards).unwrap(), index)
    }

    pub fn row(&self, key: &Key) -> Option<Row> {
        let rows = self
            .time
            .run_one(self.ledger.get(std::slice::from_ref(key)));
        rows.unwrap().unwrap().pop().flatten()
    }

    pub fn member_row(&self, sweep: &SweepId, index: u32) -> MemberRow {
        MemberRow::from_row(self.row(&self.key(sweep, index)).unwrap()).unwrap()
    }

    fn time_ms(&self) -> u64 {
        use spawn_core::ports::Clock;
        self.time.now_ms()
    }

    /// The changes by which members began to run.
    pub fn started(&self, sweep: &SweepId, members: impl IntoIterator<Item = u32>) -> Vec<Change> {
        let started = |index| {
            let mut change = self.change(sweep, index, |_| {});
            let old = change.old.as_mut().unwrap();
            old.attributes
                .insert("state".to_owned(), json!("launching"));
            change
        };
        members.into_iter().map(started).collect()
    }

    /// Members end; answers how the stream tells it.
    pub fn ended(&self, sweep: &SweepId, members: impl IntoIterator<Item = u32>) -> Vec<Change> {
        let end = |member: &mut MemberRow| {
            member.state = MemberState::Completed;
            member.live = false;
        };
        members
            .into_iter()
            .map(|index| self.change(sweep, index, end))
            .collect()
    }

    pub fn ports(&self) -> Ports<'_, MemoryLedger, Route53, Cloud, VirtualTime> {
        Ports {
            ledger: &self.ledger,
            zones: &self.zone,
            ec2: &self.ec2,
            clock: &self.time,
            deployment: &self.deployment,
        }
    }

    /// Calls the function; `None` when it dies.
    pub fn try_call(&self, input: Input) -> Option<Result<Value, FunctionError>> {
        let ports = self.ports();
        let random = self.time_ms().wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let call: std::pin::Pin<Box<dyn Future<Output = _>>> =
            Box::pin(async { handle(input, &ports, random).await.map(|(value, _)| value) });
        self.time.run_one(call)
    }

    pub fn call(&self, input: Input) -> Value {
        self.try_call(input).unwrap().unwrap()
    }

    /// Tells the function of changes, and expects that it takes them all.
    pub fn stream(&self, changes: Vec<Change>) {
        let answer = self.call(Input::Stream(changes));
        assert_eq!(answer, json!({"batchItemFailures": []}));
    }

    /// What the ledger remembers of names: marks, records, places, but not the drainer's own row.
    pub fn remembered(&self) -> Vec<String> {
        let is_of_names = |row: &Row| {
            ["DNS#MARK", "DNS#NAMES", "DNS#GROUP", "DNS#CLAIM"]
                .iter()
                .any(|prefix| row.key.pk.starts_with(prefix))
        };
        let rows = self.ledger.dump().into_iter().filter(is_of_names);
        rows.map(|row| format!("{} {}", row.key.pk, row.key.sk))
            .collect()
    }

    /// The records that a sweep with these members must have.
    pub fn expected(&self, name: &str, members: impl IntoIterator<Item = u32>) -> Vec<String> {
        let id = SweepId::from(format!("{name}-20260101-abcdef").as_str());
        let mut records: Vec<String> = members
            .into_iter()
            .flat_map(|index| {
                let (ip, instance) = (private_ip(index), arn(&id, index).instance_id);
                [
                    format!("{index}.{name}.{SUFFIX} A {ip}"),
                    format!("{name}.{SUFFIX} A {instance} {ip}"),
                ]
            })
            .collect();
        records.sort();
        records
    }

    pub fn shown(&self) -> Vec<String> {
        let mut shown = self.zone.shown();
        shown.sort();
        shown
    }
}

//! The types of a finished sweep with what they used, and the cheaper ones that would have done.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;
use serde_json::{Value, json};
use spawn_core::clock;
use spawn_core::cost::{Utilisation, apart, bound, candidates, questions, settle, unmeasured};
use spawn_core::errors::FunctionError;
use spawn_core::ids::{Market, SweepId};
use spawn_core::instance_metrics::Wanted;
use spawn_core::ledger::Ledger;
use spawn_core::ports::{AskPrices, DescribeOffers, Ec2Error, Objects, TypeFacts};
use spawn_core::prices::{self, Item, Needs, PriceBook};
use spawn_core::region::Region;
use spawn_core::rows::MemberRow;

use crate::{Ports, read};

/// Types of one sweep that are looked at.
const TYPES_MAX: usize = 40;

/// The types of a sweep by region, and the span in which they ran.
pub(crate) async fn types(
    ledger: &impl Ledger,
    sweep_id: &SweepId,
    now: u64,
) -> Result<Value, FunctionError> {
    let sweep = read::sweep(ledger, sweep_id).await?;
    let members = read::members(ledger, &sweep).await?;
    let pairs: BTreeSet<(String, String)> = members
        .iter()
        .flat_map(|member| &member.spent)
        .map(|spent| (spent.instance_type.clone(), spent.region.to_string()))
        .collect();
    let types: Vec<Value> = pairs
        .into_iter()
        .take(TYPES_MAX)
        .map(|(name, region)| json!({"instance_type": name, "region": region}))
        .collect();
    let end = sweep.ended_at.unwrap_or(now).max(sweep.started_at + 60_000);
    // CloudWatch answers 1,440 points at the most, in whole minutes.
    let period = ((end - sweep.started_at) / 1000)
        .div_ceil(1_440)
        .div_ceil(60)
        .max(1)
        * 60;
    Ok(json!({
        "sweep_id": sweep_id,
        "types": types,
        "start": clock::format_iso(sweep.started_at),
        "end": clock::format_iso(end),
        "period_s": period,
    }))
}

/// What was measured of each type.
#[derive(Clone, Debug, Deserialize)]
pub struct RightSizeInput {
    /// The sweep.
    sweep_id: SweepId,
    /// By type and region.
    measured: Vec<MeasuredType>,
}

/// What was measured of one type, in percent; `null` when nothing was.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct MeasuredType {
    instance_type: String,
    region: Region,
    /// The highest reading of any instance.
    #[serde(default)]
    cpu_percent: Option<f64>,
    /// The same of the memory.
    #[serde(default)]
    memory_percent: Option<f64>,
    /// The average of all readings of all instances.
    #[serde(default)]
    cpu_average_percent: Option<f64>,
    /// The same of the memory.
    #[serde(default)]
    memory_average_percent: Option<f64>,
}

/// Whole percent, rounded up.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "clamped to a percentage"
)]
fn whole(percent: f64) -> u64 {
    percent.clamp(0.0, 100.0).ceil() as u64
}

impl MeasuredType {
    fn utilisation(&self) -> Utilisation {
        Utilisation {
            instance_type: self.instance_type.clone(),
            region: self.region,
            cpu_percent: self.cpu_percent.map(whole),
            memory_percent: self.memory_percent.map(whole),
        }
    }
}

/// What EC2 offers of the types in question, by region; or why it does not say so.
type Offered = BTreeMap<Region, Result<Vec<TypeFacts>, String>>;

/// Asks EC2 for the types that were used, and those that they are compared with.
async fn offered(
    ec2: &impl DescribeOffers,
    measured: &[MeasuredType],
) -> Result<Offered, FunctionError> {
    let mut asked: BTreeMap<Region, BTreeSet<String>> = BTreeMap::new();
    for one in measured {
        let of_region = asked.entry(one.region).or_default();
        of_region.extend(questions(&one.instance_type));
    }
    let mut offered = Offered::new();
    for (region, names) in asked {
        let names: Vec<String> = names.into_iter().collect();
        let answer = match ec2.instance_types(&region, &names).await {
            Ok(types) => Ok(types),
            // A region that only another account may use: the others' types are compared all the same.
            Err(Ec2Error::Refused(why)) => Err(why),
            Err(error) => return Err(error.into()),
        };
        offered.insert(region, answer);
    }
    Ok(offered)
}

/// The table: each type with its utilisation, what it cost, and the cheapest type with room for what was used.
pub(crate) async fn right_size<L, E, O, A>(
    ports: &Ports<'_, L, E, O, A>,
    request: &RightSizeInput,
    now: u64,
) -> Result<Value, FunctionError>
where
    L: Ledger,
    E: DescribeOffers,
    O: Objects,
    A: AskPrices,
{
    let sweep = read::sweep(ports.ledger, &request.sweep_id).await?;
    let members = read::members(ports.ledger, &sweep).await?;
    let changes = read::changes(ports.ledger, &members).await?;
    let spent = settle(&members, &changes, now).unwrap_or_default();
    let offered = offered(ports.ec2, &request.measured).await?;
    let mut needs: Needs = BTreeMap::new();
    for one in &request.measured {
        let types = needs.entry(one.region).or_default();
        types.insert(one.instance_type.clone(), false);
        if let Some(Ok(offered)) = offered.get(&one.region) {
            let candidates = candidates(&one.utilisation(), offered);
            types.extend(candidates.iter().map(|one| (one.name.clone(), false)));
        }
    }
    let book = prices::operators(ports.objects, ports.price_book).await?;
    let age = ports.price_age_ms_max;
    let book = prices::look_up(ports.ledger, ports.prices, book, &needs, now, age).await?;
    let known = Known {
        offered: &offered,
        book: &book,
        wanted: &sweep.instance_metrics,
        members: &members,
    };
    let table: Vec<Value> = request.measured.iter().map(|one| known.row(one)).collect();
    Ok(json!({
        "sweep_id": request.sweep_id,
        "types": table,
        "cost_by_type": spent.to_output()["by_type"],
    }))
}

/// All that rows of the table are made from.
struct Known<'a> {
    offered: &'a Offered,
    book: &'a PriceBook,
    wanted: &'a Wanted,
    members: &'a [MemberRow],
}

impl Known<'_> {
    fn row(&self, one: &MeasuredType) -> Value {
        let used = one.utilisation();
        let hour = self.book.hour_at_most(&one.region, &one.instance_type);
        json!({
            "instance_type": one.instance_type,
            "region": one.region,
            "cpu_percent": used.cpu_percent,
            "cpu_average_percent": one.cpu_average_percent.map(whole),
            "memory_percent": used.memory_percent,
            "memory_average_percent": one.memory_average_percent.map(whole),
            "bound_by": bound(&used),
            "hour": hour.map(|hour| hour.to_string()),
            "advice": self.advice(&used),
        })
    }

    fn advice(&self, used: &Utilisation) -> String {
        let (name, region) = (&used.instance_type, &used.region);
        let offered = match self.offered.get(region) {
            Some(Ok(offered)) => offered.as_slice(),
            Some(Err(why)) => {
                return format!(
                    "it is compared with none: EC2 does not tell what {region} offers ({why})"
                );
            }
            None => &[],
        };
        let Some(own) = offered.iter().find(|one| one.name == *name) else {
            return format!("it is compared with none: EC2 offers no {name} in {region} now");
        };
        if let Some(reason) = apart(own) {
            return format!(
                "it is not of a family that is compared: it is chosen for {reason}, of which neither CPU nor memory tells"
            );
        }
        if let Some(words) = unmeasured(used, self.wanted) {
            return words;
        }
        let Some(hour) = self.book.hour_at_most(region, name) else {
            return self.book.why_missing(region, &Item::OnDemand(name.clone()));
        };
        // A candidate whose price is not known is no candidate: nothing is guessed.
        let best = candidates(used, offered)
            .into_iter()
            .filter_map(|one| Some((self.book.hour_at_most(region, &one.name)?, &one.name)))
            .min()
            .filter(|(less, _)| *less < hour);
        let words = match best {
            Some((less, best)) => {
                let percent = (hour.0 - less.0).saturating_mul(100) / hour.0.max(1);
                format!("{best} at {less} an hour would have done, {percent} % less")
            }
            None => "it fits: nothing that is compared has room for what was used at a price that is known to be lower".to_owned(),
        };
        if self.ran_as_spot(name, region) {
            format!("{words}; prices on demand are compared, though it ran as spot")
        } else {
            words
        }
    }

    fn ran_as_spot(&self, name: &str, region: &Region) -> bool {
        self.members
            .iter()
            .flat_map(|member| &member.spent)
            .any(|spent| {
                spent.market == Market::Spot
                    && spent.instance_type == name
                    && spent.region == *region
            })
    }
}

//! A sweep as a picture: its members by state, its launches and ends, what it has run up beside its budget.
//!
//! HTML with SVG and without a script: CloudWatch's custom widgets run none, and the page of the local stack needs none (Amazon
//! CloudWatch User Guide, "Details about custom widgets"). Everything that a document's author chose is escaped.

mod chart;
mod grid;
mod text;

use std::fmt::Write as _;

use serde_json::{Value, json};

use crate::clock;
use crate::cost::Spent;
use crate::money::MicroDollars;
use crate::rows::{MemberRow, SweepRow};
use crate::state::MemberState;
use chart::{Chart, Line};
use text::{colour, duration, escape};

/// How one view links to another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Links {
    /// In a custom widget: the function of this ARN is called again, and its answer takes the widget's place.
    Widget {
        /// The function that draws.
        function_arn: String,
    },
    /// In a page of its own: by the query of its address.
    Page,
}

impl Links {
    /// A link to a sweep, or to the list of all.
    fn to(&self, sweep_id: Option<&str>, words: &str) -> String {
        let words = escape(words);
        match self {
            Self::Page => match sweep_id {
                Some(id) => format!("<a href=\"?sweep_id={}\">{words}</a>", escape(id)),
                None => format!("<a href=\"?\">{words}</a>"),
            },
            Self::Widget { function_arn } => {
                let parameters = match sweep_id {
                    Some(id) => json!({ "sweep_id": id }),
                    None => json!({}),
                };
                format!(
                    "<a class=\"btn\">{words}</a><cwdb-action action=\"call\" display=\"widget\" endpoint=\"{}\">{}</cwdb-action>",
                    escape(function_arn),
                    escape(&parameters.to_string())
                )
            }
        }
    }
}

/// How many points a line has.
const POINTS: u64 = 120;
/// An hour, in ms.
const HOUR_MS: i128 = 3_600_000;
/// A month of a volume's price, in hours: what is drawn is no bill.
const MONTH_HOURS: i128 = 730;

/// The picture of a sweep at `now` (ms since 1970).
#[must_use]
pub fn sweep(sweep: &SweepRow, members: &[MemberRow], now: u64, links: &Links) -> String {
    let until = sweep.ended_at.unwrap_or(now).max(sweep.started_at + 1_000);
    let mut html = String::new();
    html.push_str(&head(sweep, until, links));
    html.push_str(&grid::draw(members));
    html.push_str(&launches(sweep, members, until));
    html.push_str(&burn(sweep, members, until));
    html.push_str(&by_region(members));
    html
}

/// The sweeps of a list, as spawn-list answers them.
#[must_use]
pub fn list(listed: &Value, links: &Links) -> String {
    let mut rows = String::new();
    for one in listed["sweeps"].as_array().into_iter().flatten() {
        let of = |name: &str| one[name].as_str().unwrap_or_default();
        let counts = one["counts"].as_object().into_iter().flatten();
        let counts: Vec<String> = counts
            .map(|(state, count)| format!("{count} {state}"))
            .collect();
        write!(
            rows,
            "<tr><td>{}</td><td>{}</td><td>{}</td><td>{}</td><td>{}</td><td>{}</td></tr>",
            links.to(Some(of("sweep_id")), of("sweep_id")),
            escape(of("status")),
            escape(of("owner")),
            escape(of("project")),
            escape(&counts.join(", ")),
            escape(of("started_at")),
        )
        .unwrap_or_default();
    }
    if rows.is_empty() {
        return "<p>There is no sweep yet.</p>".to_owned();
    }
    format!(
        "<table class=\"sweeps\"><tr><th>sweep</th><th>status</th><th>owner</th><th>project</th><th>members</th><th>started</th></tr>{rows}</table>"
    )
}

/// That there is no such sweep.
#[must_use]
pub fn unknown(sweep_id: &str, links: &Links) -> String {
    format!(
        "<p>{}</p><p>There is no sweep {}.</p>",
        links.to(None, "all sweeps"),
        escape(sweep_id)
    )
}

/// A page of its own, which loads itself again after `refresh_s`.
#[must_use]
pub fn document(title: &str, body: &str, refresh_s: u32) -> String {
    format!(
        "<!DOCTYPE html><html lang=\"en\"><head><meta charset=\"utf-8\"><title>{}</title>\
         <meta http-equiv=\"refresh\" content=\"{refresh_s}\"><style>\
         body{{font:14px/1.4 sans-serif;color:#16191f;max-width:760px;margin:1.5em auto;padding:0 1em}}\
         table{{border-collapse:collapse}}td,th{{text-align:left;padding:.2em .8em .2em 0}}h1{{font-size:1.3em}}h2{{font-size:1em;margin:1em 0 .3em}}\
         </style></head><body>{body}</body></html>",
        escape(title)
    )
}

fn head(sweep: &SweepRow, until: u64, links: &Links) -> String {
    let took = duration(until - sweep.started_at);
    let since = if sweep.ended_at.is_some() {
        "after"
    } else {
        "for"
    };
    let mut html = format!(
        "<p>{}</p><h1>{} <small>{} {since} {took}</small></h1><p class=\"counts\">",
        links.to(None, "all sweeps"),
        escape(sweep.sweep_id.as_str()),
        escape(&sweep.status.to_string()),
    );
    for state in MemberState::ALL {
        let count = sweep.counts.of(state);
        if count != 0 {
            write!(
                html,
                "<span><svg width=\"10\" height=\"10\"><rect width=\"10\" height=\"10\" fill=\"{}\"/></svg> {count} {state}</span> ",
                colour(state)
            ).unwrap_or_default();
        }
    }
    html.push_str("</p>");
    let reason = sweep
        .drain
        .as_ref()
        .map(|drain| drain.reason.as_str())
        .or(sweep.held.as_deref());
    if let Some(reason) = reason {
        write!(html, "<p>{}</p>", escape(reason)).unwrap_or_default();
    }
    html
}

/// How many were launched and have ended, over time.
fn launches(sweep: &SweepRow, members: &[MemberRow], until: u64) -> String {
    let mut launched: Vec<u64> = Vec::new();
    let mut ended: Vec<u64> = Vec::new();
    for member in members {
        let tries = member
            .tries
            .iter()
            .map(|one| (one.launched_at, one.ended_at));
        for (launch, end) in tries.chain([(member.launched_at, member.ended_at)]) {
            launched.extend(launch);
            // Those that were never launched end, too.
            ended.extend(launch.and(end));
        }
    }
    launched.sort_unstable();
    ended.sort_unstable();
    let so_many = |times: &[u64], at: u64| {
        i64::try_from(times.partition_point(|time| *time <= at)).unwrap_or(i64::MAX)
    };
    let chart = Chart {
        title: "instances launched and ended",
        from: sweep.started_at,
        until,
        most: so_many(&launched, until).max(i64::from(sweep.members)),
        words: |count| count.to_string(),
    };
    let times = || chart::times(sweep.started_at, until, POINTS);
    chart.draw(&[
        Line {
            name: "launched",
            colour: colour(MemberState::Running),
            is_dashed: false,
            points: times().map(|at| (at, so_many(&launched, at))).collect(),
        },
        Line {
            name: "ended",
            colour: colour(MemberState::Completed),
            is_dashed: false,
            points: times().map(|at| (at, so_many(&ended, at))).collect(),
        },
    ])
}

/// What was run up over time, by the prices of the launches, beside what is committed and the budget.
fn burn(sweep: &SweepRow, members: &[MemberRow], until: u64) -> String {
    let spent = || members.iter().flat_map(|member| &member.spent);
    if spent().next().is_none() {
        return String::new();
    }
    let unpriced = spent().filter(|one| rates(one).is_none()).count();
    let points: Vec<(u64, i64)> = chart::times(sweep.started_at, until, POINTS)
        .map(|at| (at, run_up(spent(), at)))
        .collect();
    let now = points.last().map_or(0, |(_, amount)| *amount);
    let budget = sweep.budget.map(|budget| budget.0);
    let level = |name, colour, amount: i64| Line {
        name,
        colour,
        is_dashed: true,
        points: vec![(sweep.started_at, amount), (until, amount)],
    };
    let mut lines = vec![Line {
        name: "run up",
        colour: colour(MemberState::Running),
        is_dashed: false,
        points,
    }];
    if sweep.charged > 0 {
        lines.push(level(
            "committed",
            colour(MemberState::Launching),
            sweep.charged,
        ));
    }
    lines.extend(budget.map(|amount| level("budget", colour(MemberState::Failed), amount)));
    let chart = Chart {
        title: "run up, by the prices of the launches",
        from: sweep.started_at,
        until,
        most: now.max(sweep.charged).max(budget.unwrap_or(0)),
        words: |amount| MicroDollars(amount).to_string(),
    };
    let mut html = chart.draw(&lines);
    if unpriced > 0 {
        write!(
            html,
            "<p>{unpriced} instances, whose prices are not known, are not in it.</p>"
        )
        .unwrap_or_default();
    }
    html
}

/// What an instance costs in an hour while it runs, and its volume while it is there; in micro-dollars.
fn rates(spent: &Spent) -> Option<(i128, i128)> {
    let hour = i128::from(spent.hour?.0) + i128::from(spent.public_ipv4_hour?.0);
    let volume = i128::from(spent.gib?) * i128::from(spent.gib_month?.0) / MONTH_HOURS;
    Some((hour, volume))
}

/// What instances had run up at a moment, in micro-dollars.
fn run_up<'a>(spent: impl Iterator<Item = &'a Spent>, at: u64) -> i64 {
    let overlap =
        |from: u64, to: Option<u64>| i128::from(to.unwrap_or(at).min(at).saturating_sub(from));
    let mut sum: i128 = 0;
    for one in spent {
        let Some((hour, volume)) = rates(one) else {
            continue;
        };
        let running: i128 = one.runs.iter().map(|run| overlap(run.from, run.to)).sum();
        let there = overlap(one.launched_at, one.volume_end());
        sum += hour * running + volume * there;
    }
    i64::try_from(sum / HOUR_MS).unwrap_or(i64::MAX)
}

/// Members by region and state.
fn by_region(members: &[MemberRow]) -> String {
    let mut counts: std::collections::BTreeMap<String, [u32; MemberState::ALL.len()]> =
        std::collections::BTreeMap::new();
    for member in members {
        let row = counts.entry(member.lane.to_string()).or_default();
        let place = MemberState::ALL
            .iter()
            .position(|state| *state == member.state);
        if let Some(count) = place.and_then(|place| row.get_mut(place)) {
            *count += 1;
        }
    }
    let mut html = "<h2>by lane</h2><table class=\"lanes\">".to_owned();
    for (lane, row) in counts {
        let words: Vec<String> = MemberState::ALL
            .iter()
            .zip(row)
            .filter(|(_, count)| *count > 0)
            .map(|(state, count)| format!("{count} {state}"))
            .collect();
        write!(
            html,
            "<tr><td>{}</td><td>{}</td></tr>",
            escape(&lane),
            words.join(", ")
        )
        .unwrap_or_default();
    }
    html.push_str("</table>");
    html
}

/// When the picture was made, for who looks at an old one.
#[must_use]
pub fn made_at(now: u64) -> String {
    format!(
        "<p><small>{}</small></p>",
        clock::format_iso(now / 1000 * 1000)
    )
}

#[cfg(test)]
mod tests;

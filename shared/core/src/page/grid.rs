//! Members as squares, in the order of their indices.

use std::fmt::Write as _;

use super::text::{colour, escape};
use crate::rows::MemberRow;
use crate::state::MemberState;

/// The width of the grid in pixels.
const WIDTH: usize = 720;
/// So many members have squares with words of their own; those of more would make the page heavy.
const WITH_WORDS: usize = 1_000;
/// So many squares there are at the most: each stands for several members of larger sweeps.
const SQUARES_MAX: usize = 10_000;

/// A square stands for the member that asks for the most attention.
const BY_URGENCY: [MemberState; 8] = [
    MemberState::Failed,
    MemberState::Interrupted,
    MemberState::Reaped,
    MemberState::Stopped,
    MemberState::Launching,
    MemberState::Running,
    MemberState::Planned,
    MemberState::Completed,
];

/// The grid.
pub(super) fn draw(members: &[MemberRow]) -> String {
    if members.is_empty() {
        return String::new();
    }
    let each = members.len().div_ceil(SQUARES_MAX);
    let squares: Vec<&[MemberRow]> = members.chunks(each).collect();
    let side = match squares.len() {
        0..=600 => 16,
        601..=2_500 => 10,
        _ => 6,
    };
    let columns = WIDTH / side;
    let height = squares.len().div_ceil(columns) * side;
    let mut html = format!(
        "<h2>members{}</h2><svg class=\"grid\" width=\"{WIDTH}\" height=\"{height}\" viewBox=\"0 0 {WIDTH} {height}\">",
        if each > 1 {
            format!(", {each} to a square")
        } else {
            String::new()
        }
    );
    let place = |number: usize| (number % columns * side, number / columns * side);
    if members.len() <= WITH_WORDS {
        for (number, member) in members.iter().enumerate() {
            let (x, y) = place(number);
            write!(
                html,
                "<rect x=\"{x}\" y=\"{y}\" width=\"{size}\" height=\"{size}\" fill=\"{}\"><title>{}</title></rect>",
                colour(member.state),
                escape(&words(member)),
                size = side - 1,
            ).unwrap_or_default();
        }
    } else {
        for state in BY_URGENCY {
            let mut path = String::new();
            for (number, square) in squares.iter().enumerate() {
                if urgent(square) == state {
                    let (x, y) = place(number);
                    let size = side - 1;
                    write!(path, "M{x} {y}h{size}v{size}h-{size}z").unwrap_or_default();
                }
            }
            if !path.is_empty() {
                write!(html, "<path d=\"{path}\" fill=\"{}\"/>", colour(state)).unwrap_or_default();
            }
        }
    }
    html.push_str("</svg>");
    html
}

fn urgent(square: &[MemberRow]) -> MemberState {
    BY_URGENCY
        .into_iter()
        .find(|state| square.iter().any(|member| member.state == *state))
        .unwrap_or(MemberState::Planned)
}

fn words(member: &MemberRow) -> String {
    let name = member.name.as_deref().map(|name| format!(" {name}"));
    let on = member
        .instance
        .as_ref()
        .map(|arn| format!(" on {} in {}", arn.instance_id, arn.region));
    let why = member.reason.as_ref().map(|reason| format!(": {reason}"));
    format!(
        "{}{}: {}{}{}",
        member.index,
        name.unwrap_or_default(),
        member.state,
        on.unwrap_or_default(),
        why.unwrap_or_default()
    )
}

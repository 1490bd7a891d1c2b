//! Words and colours.

use crate::state::MemberState;

/// Text that cannot be taken for markup.
pub(super) fn escape(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            '\'' => safe.push_str("&#39;"),
            other => safe.push(other),
        }
    }
    safe
}

/// The colour of a state: those that are well are blue and green.
pub(super) fn colour(state: MemberState) -> &'static str {
    match state {
        MemberState::Planned => "#d5dbdb",
        MemberState::Launching => "#b088f5",
        MemberState::Running => "#0972d3",
        MemberState::Stopped => "#8d6605",
        MemberState::Completed => "#29ad32",
        MemberState::Failed => "#d91515",
        MemberState::Interrupted => "#f89256",
        MemberState::Reaped => "#5f6b7a",
    }
}

/// `3 h 05 min`, `12 min 30 s` or `9 s`.
pub(super) fn duration(ms: u64) -> String {
    let seconds = ms / 1000;
    match (seconds / 3600, seconds / 60 % 60, seconds % 60) {
        (0, 0, seconds) => format!("{seconds} s"),
        (0, minutes, seconds) => format!("{minutes} min {seconds:02} s"),
        (hours, minutes, _) => format!("{hours} h {minutes:02} min"),
    }
}

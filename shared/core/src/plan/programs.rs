//! What members run: one row for each kind of program.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::document::{self, Settings, Sweep};
use crate::ids::SweepId;
use crate::plan::rows::ttl_of;
use crate::rows::{OnComplete, ProgramRow};

/// The programs of a sweep, one for each kind of settings.
#[derive(Default)]
pub(crate) struct Programs {
    pub(crate) rows: Vec<ProgramRow>,
    numbers: BTreeMap<*const Settings, u32>,
}

impl Programs {
    /// The number of the program of members with these settings.
    pub(crate) fn number_of(
        &mut self,
        sweep: &Sweep,
        settings: &Arc<Settings>,
        sweep_id: &SweepId,
    ) -> u32 {
        if let Some(number) = self.numbers.get(&Arc::as_ptr(settings)) {
            return *number;
        }
        let number = u32::try_from(self.rows.len()).unwrap_or(u32::MAX);
        let mut row = ProgramRow {
            sweep_id: sweep_id.clone(),
            program: number,
            user_data: settings.user_data.clone(),
            command: settings.command.clone(),
            ttl_s: ttl_of(settings),
            idle_timeout_s: settings.idle_timeout_s,
            hibernate_on_idle: settings.hibernate_on_idle,
            idle: settings.idle.clone(),
            on_complete: match settings.on_complete {
                document::OnComplete::Terminate => OnComplete::Terminate,
                document::OnComplete::Stop => OnComplete::Stop,
                document::OnComplete::Hibernate => OnComplete::Hibernate,
                document::OnComplete::None => OnComplete::None,
            },
            completion_file: settings.completion_file.clone(),
            completion_delay_s: settings.completion_delay_s,
            on_interruption: settings.on_interruption.clone(),
            inputs: sweep.inputs.iter().map(ToString::to_string).collect(),
            result_file: sweep.results.file.clone(),
        };
        // Settings that differ only in where the member runs have the same program.
        let same = self.rows.iter().find(|other| {
            row.program = other.program;
            row == **other
        });
        let number = match same {
            Some(other) => other.program,
            None => {
                row.program = number;
                self.rows.push(row);
                number
            }
        };
        self.numbers.insert(Arc::as_ptr(settings), number);
        number
    }
}

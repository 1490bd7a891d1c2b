//! `results.csv`: what the members of a sweep came to.

use crate::error::{Error, Result};

/// Fixed columns before the parameters, and between parameters and results.
const STATE: &str = "state";
const EXIT_CODE: &str = "exit_code";
/// How many they are: these two, `reason_code` and `cost_usd`.
const STATE_COLUMNS: usize = 4;

/// Endings and words of names for which less is better.
const LOWER_IS_BETTER: [&str; 9] = [
    "loss",
    "error",
    "err",
    "rmse",
    "mse",
    "mae",
    "perplexity",
    "cost",
    "latency",
];

/// Endings and words of names for which more is better.
const HIGHER_IS_BETTER: [&str; 8] = [
    "accuracy",
    "acc",
    "auc",
    "f1",
    "score",
    "reward",
    "precision",
    "recall",
];

/// A sweep's results.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Results {
    /// The names of the parameters.
    pub params: Vec<String>,
    /// The names of the result fields.
    pub fields: Vec<String>,
    /// The members by index.
    pub members: Vec<Member>,
}

/// A member's row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// Its index.
    pub index: String,
    /// Its name, if it has one.
    pub name: String,
    /// Its parameters.
    pub params: Vec<String>,
    /// Its state.
    pub state: String,
    /// Its exit code, if it reported one.
    pub exit_code: String,
    /// Its result fields.
    pub fields: Vec<String>,
}

/// What members are sorted by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Measure {
    /// The result field.
    pub field: String,
    /// Whether less is better.
    pub is_lower_better: bool,
}

impl Results {
    /// Reads the file.
    pub fn parse(content: &[u8]) -> Result<Self> {
        let unreadable = |why: String| Error::Unreadable {
            what: "results.csv".into(),
            why,
        };
        let mut reader = csv::ReaderBuilder::new()
            .flexible(true)
            .from_reader(content);
        let header: Vec<String> = reader
            .headers()
            .map_err(|error| unreadable(error.to_string()))?
            .iter()
            .map(str::to_owned)
            .collect();
        // A parameter may be called `state`, but then its column is not: look for the pair.
        let state = header
            .windows(2)
            .position(|pair| pair[0] == STATE && pair[1] == EXIT_CODE)
            .filter(|position| *position >= 2)
            .ok_or_else(|| unreadable(format!("no columns `{STATE}`, `{EXIT_CODE}`")))?;
        let members = reader
            .records()
            .map(|record| {
                let record = record.map_err(|error| unreadable(error.to_string()))?;
                let cell = |index: usize| record.get(index).unwrap_or_default().to_owned();
                Ok(Member {
                    index: cell(0),
                    name: cell(1),
                    params: (2..state).map(cell).collect(),
                    state: cell(state),
                    exit_code: cell(state + 1),
                    fields: (state + STATE_COLUMNS..header.len()).map(cell).collect(),
                })
            })
            .collect::<Result<_>>()?;
        Ok(Self {
            params: header[2..state].to_vec(),
            fields: header
                .get(state + STATE_COLUMNS..)
                .unwrap_or_default()
                .to_vec(),
            members,
        })
    }

    /// The measure that the fields' names suggest: a loss first, for it tells more than a rate of hits.
    pub fn guess_measure(&self) -> Option<Measure> {
        let is_any = |field: &str, words: &[&str]| {
            field
                .to_lowercase()
                .split(['_', '-', '.', ' '])
                .any(|word| words.contains(&word))
        };
        let find = |words: &[&str], is_lower_better| {
            let field = self.fields.iter().find(|field| is_any(field, words))?;
            Some(Measure {
                field: field.clone(),
                is_lower_better,
            })
        };
        find(&LOWER_IS_BETTER, true).or_else(|| find(&HIGHER_IS_BETTER, false))
    }

    /// `loss:min`, `accuracy:max`, or a name alone, of which the better end is guessed.
    pub fn measure(&self, text: &str) -> Result<Measure> {
        let (field, end) = match text.rsplit_once(':') {
            Some((field, "min")) => (field, Some(true)),
            Some((field, "max")) => (field, Some(false)),
            _ => (text, None),
        };
        if !self.fields.iter().any(|known| known == field) {
            let known = if self.fields.is_empty() {
                "none".into()
            } else {
                self.fields.join(", ")
            };
            return Err(Error::Usage(format!(
                "the results have no field `{field}`; they have: {known}"
            )));
        }
        let alone = Self {
            fields: vec![field.to_owned()],
            params: Vec::new(),
            members: Vec::new(),
        };
        let guess = alone
            .guess_measure()
            .is_some_and(|measure| measure.is_lower_better);
        Ok(Measure {
            field: field.to_owned(),
            is_lower_better: end.unwrap_or(guess),
        })
    }

    /// Members with a number under a measure, the best first.
    pub fn ranked(&self, measure: &Measure) -> Vec<(&Member, f64)> {
        let Some(column) = self.fields.iter().position(|field| *field == measure.field) else {
            return Vec::new();
        };
        let mut ranked: Vec<(&Member, f64)> = self
            .members
            .iter()
            .filter_map(|member| Some((member, member.fields.get(column)?.parse().ok()?)))
            .filter(|(_, value): &(_, f64)| value.is_finite())
            .collect();
        ranked.sort_by(|(_, one), (_, other)| {
            if measure.is_lower_better {
                one.total_cmp(other)
            } else {
                other.total_cmp(one)
            }
        });
        ranked
    }

    /// The two parameters with the most different settings, more than one each: the axes of a picture.
    pub fn axes(&self) -> Option<(usize, usize)> {
        let different = |column: usize| {
            let mut settings: Vec<&String> = self
                .members
                .iter()
                .map(|member| &member.params[column])
                .collect();
            settings.sort_unstable();
            settings.dedup();
            settings.len()
        };
        let mut columns: Vec<(usize, usize)> = (0..self.params.len())
            .map(|column| (column, different(column)))
            .filter(|(_, count)| (2..=8).contains(count))
            .collect();
        // Stable: of equals, those that the document names first.
        columns.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
        match columns[..] {
            [(one, _), (other, _), ..] => Some((one.min(other), one.max(other))),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &[u8] =
        b"index,name,rate,units,state,exit_code,reason_code,cost_usd,accuracy,log_loss\n\
        0,,0.1,2,completed,0,completed,0.01,0.9,0.5\n1,b,0.1,4,failed,1,exit_code,0.01,,\n\
        2,,0.2,2,completed,0,completed,0.01,0.8,0.4\n3,,0.2,4,completed,0,completed,,nan,1\n";

    #[test]
    fn columns_fall_into_parameters_and_results() {
        let results = Results::parse(FILE).unwrap();
        assert_eq!(results.params, ["rate", "units"]);
        assert_eq!(results.fields, ["accuracy", "log_loss"]);
        assert_eq!(results.members[1].exit_code, "1");
        assert_eq!(results.axes(), Some((0, 1)));
        assert!(Results::parse(b"a,b\n1,2\n").is_err());
    }

    #[test]
    fn members_are_ranked_by_what_is_better() {
        let results = Results::parse(FILE).unwrap();
        let order = |text: &str| -> Vec<&str> {
            results
                .ranked(&results.measure(text).unwrap())
                .iter()
                .map(|(member, _)| member.index.as_str())
                .collect()
        };
        assert_eq!(order("accuracy"), ["0", "2"]);
        assert_eq!(order("log_loss"), ["2", "0", "3"]);
        assert_eq!(order("log_loss:max"), ["3", "0", "2"]);
        assert!(results.measure("speed").is_err());
        assert_eq!(
            results.guess_measure(),
            Some(Measure {
                field: "log_loss".into(),
                is_lower_better: true
            })
        );
    }
}

//! What can be launched where: a choice for every class of members in every place that they may go to.

use std::collections::{BTreeMap, BTreeSet};

use crate::account::Place;
use crate::document::{Collector, Fault, Faults, RegionOrder, Sweep};
use crate::money::MicroDollars;
use crate::plan::candidates::LeftOut;
use crate::plan::shapes::{Choice, Surroundings, choice_of};
use crate::plan::types::{self, Choosing};
use crate::plan::{Candidates, Classes, Context, Facts, QuotaFacts, RegionFacts};

/// What can be launched where.
#[derive(Clone, Debug)]
pub struct Options {
    /// What EC2 answered.
    pub(crate) facts: Facts,
    /// The places that can be used, the preferred ones first.
    pub(crate) candidates: Candidates,
    /// By class and place, as the candidates are ordered; `None` where members of the class do not go.
    pub(crate) choices: Vec<Vec<Option<Choice>>>,
    /// What an hour of all members costs that may go anywhere, by place, as far as is known.
    pub(crate) prices: Vec<Option<MicroDollars>>,
}

/// The facts with only those types that some members can be launched as: nobody needs the prices of others.
#[must_use]
pub fn able(classes: &Classes, candidates: &Candidates, facts: &Facts) -> Facts {
    let mut kept: BTreeMap<Place, BTreeSet<String>> = BTreeMap::new();
    for class in &classes.all {
        for candidate in candidates.of_class(class) {
            let Some(of_place) = facts.get(&candidate.place) else {
                continue;
            };
            let by = Choosing {
                region: candidate.place.region,
                market: class.market(),
                facts: of_place,
                book: None,
                has_budget: false,
                at: &class.at,
            };
            let names = kept.entry(candidate.place).or_default();
            names.extend(types::able(&class.settings, by));
        }
    }
    let mut able = facts.clone();
    for (place, of_place) in &mut able {
        let names = kept.get(place);
        of_place
            .types
            .retain(|name, _| names.is_some_and(|names| names.contains(name)));
    }
    able
}

/// Works out what can be launched where. A region that a pattern brings in and that lacks something is left out.
///
/// # Errors
/// Everything that the document asks for and EC2 does not have, at once.
pub fn options(
    sweep: &Sweep,
    classes: &Classes,
    candidates: Candidates,
    facts: &Facts,
    context: &Context,
) -> Result<Options, Faults> {
    let empty = RegionFacts::default();
    let mut faults = Collector::default();
    let mut lacking: BTreeMap<Place, Fault> = BTreeMap::new();
    let mut choices: Vec<Vec<Option<Choice>>> = Vec::with_capacity(classes.all.len());
    for class in &classes.all {
        let mut of_class = Vec::with_capacity(candidates.all.len());
        for candidate in &candidates.all {
            let place = candidate.place;
            if !candidate.may_take(class.settings.region) {
                of_class.push(None);
                continue;
            }
            let no_budget = sweep.budget.is_none();
            let around = Surroundings {
                sweep_id: &context.sweep_id,
                default_profile: &context.instance_profile,
                by: Choosing {
                    region: place.region,
                    market: class.market(),
                    facts: facts.get(&place).unwrap_or(&empty),
                    book: context.price_book.as_ref(),
                    has_budget: !no_budget,
                    at: &class.at,
                },
            };
            of_class.push(match choice_of(class, around) {
                Ok(choice) => Some(choice),
                Err(fault) => {
                    if candidate.is_named {
                        faults.add(fault);
                    } else {
                        lacking.entry(place).or_insert(fault);
                    }
                    None
                }
            });
        }
        choices.push(of_class);
    }
    if faults.is_empty() && lacking.len() == candidates.all.len() {
        // All regions lack something: what each lacks is what is wrong with the document.
        let mut told: BTreeSet<String> = BTreeSet::new();
        for fault in lacking.into_values() {
            if told.insert(fault.to_string()) {
                faults.add(fault);
            }
        }
        return Err(faults
            .finish(())
            .err()
            .unwrap_or_else(|| Fault::new("regions", "no region is left", "").into()));
    }
    let mut options = Options {
        facts: facts.clone(),
        candidates,
        choices,
        prices: Vec::new(),
    };
    options.leave_out(lacking);
    faults.finish(options)
}

impl Options {
    /// What members of a class are launched with in a place.
    pub(crate) fn choice(&self, class: usize, place: usize) -> Option<&Choice> {
        self.choices.get(class)?.get(place)?.as_ref()
    }

    /// Takes the quotas into account, and brings the places into their order.
    pub(crate) fn settle(
        &mut self,
        sweep: &Sweep,
        classes: &Classes,
        quotas: &BTreeMap<Place, QuotaFacts>,
    ) {
        for of_class in &mut self.choices {
            for (candidate, choice) in self.candidates.all.iter().zip(of_class) {
                if let (Some(choice), Some(facts)) = (choice, quotas.get(&candidate.place)) {
                    choice.without_impossible(&facts.limits);
                }
            }
        }
        self.add_prices(classes);
        if sweep.region_order == RegionOrder::Price {
            self.sort_by_price();
        }
    }

    /// Takes the places out that lack something.
    fn leave_out(&mut self, lacking: BTreeMap<Place, Fault>) {
        let keep: Vec<bool> = self
            .candidates
            .all
            .iter()
            .map(|candidate| !lacking.contains_key(&candidate.place))
            .collect();
        retain(&mut self.candidates.all, &keep);
        for of_class in &mut self.choices {
            retain(of_class, &keep);
        }
        for (place, fault) in lacking {
            self.candidates.left_out.push(LeftOut {
                region: place.region,
                reason: fault.problem,
            });
        }
    }

    /// What an hour of the members that may go anywhere costs in each place.
    fn add_prices(&mut self, classes: &Classes) {
        let price_in = |place: usize| {
            let mut sum = MicroDollars(0);
            for (class, of_class) in classes.all.iter().zip(&self.choices) {
                if class.settings.region.is_some() {
                    continue;
                }
                let price = of_class.get(place)?.as_ref()?.need().price?;
                let members = i64::try_from(class.members.len()).ok()?;
                sum = sum.checked_add(price.checked_mul(members)?)?;
            }
            (sum > MicroDollars(0)).then_some(sum)
        };
        self.prices = (0..self.candidates.all.len()).map(price_in).collect();
    }

    /// The cheapest first; places without a known price after those with one, in the order that they were in.
    fn sort_by_price(&mut self) {
        let mut order: Vec<usize> = (0..self.candidates.all.len()).collect();
        order.sort_by_key(|place| {
            let price = self.prices.get(*place).copied().flatten();
            (price.is_none(), price.map(|price| price.0))
        });
        reorder(&mut self.candidates.all, &order);
        reorder(&mut self.prices, &order);
        for of_class in &mut self.choices {
            reorder(of_class, &order);
        }
    }

    /// The quotas that matter, place by place.
    #[must_use]
    pub fn quota_questions(&self) -> BTreeMap<Place, BTreeSet<&'static str>> {
        let mut all: BTreeMap<Place, BTreeSet<&'static str>> = BTreeMap::new();
        for of_class in &self.choices {
            for (candidate, choice) in self.candidates.all.iter().zip(of_class) {
                for need in choice.iter().flat_map(|choice| &choice.needs) {
                    for quota in need.quota.into_iter().chain(need.fallback) {
                        let of_place = all.entry(candidate.place).or_default();
                        of_place.insert(quota.code);
                    }
                }
            }
        }
        all
    }
}

fn retain<T>(list: &mut Vec<T>, keep: &[bool]) {
    let mut keep = keep.iter();
    list.retain(|_| keep.next().copied().unwrap_or(true));
}

fn reorder<T: Clone>(list: &mut Vec<T>, order: &[usize]) {
    *list = order
        .iter()
        .filter_map(|at| list.get(*at).cloned())
        .collect();
}

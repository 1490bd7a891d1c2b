//! Regions by name, by pattern (`us-*`) and by geography (`us`).

use serde_json::{Value, json};

use super::aws::region_name;
use super::fault::quoted;
use super::read::{Problem, Read, each, text, wrong_type};
use super::suggest::nearest;
use super::sweep::RegionShare;
use crate::region::Region;

/// The regions that `name` stands for: one by its name, or several.
pub(super) fn regions(name: &str) -> Result<Vec<RegionShare>, Problem> {
    let shares = |found: Vec<Region>, is_named| {
        let share = |region| RegionShare {
            region,
            count: None,
            is_named,
        };
        found.into_iter().map(share).collect()
    };
    if let Ok(region) = name.parse() {
        return Ok(shares(vec![region], true));
    }
    if is_geography(name) {
        return Ok(shares(matching(&format!("{name}-*")), false));
    }
    if !name.contains('*') {
        return region_name(name).map(|region| shares(vec![region], true));
    }
    let found = matching(name);
    if found.is_empty() {
        let hint = name
            .split('*')
            .next()
            .and_then(|begin| nearest(begin.trim_end_matches('-'), geographies()))
            .map(|geography| format!("did you mean {geography}-*?"));
        let problem = format!("{} is the name of no AWS region", quoted(name));
        return Err(Problem::new(problem).hint(hint));
    }
    Ok(shares(found, false))
}

/// The first parts of regions' names, which AWS uses for parts of the world.
fn geographies() -> impl Iterator<Item = &'static str> {
    Region::all().filter_map(|region| region.as_str().split('-').next())
}

fn is_geography(name: &str) -> bool {
    geographies().any(|geography| geography == name)
}

fn matching(pattern: &str) -> Vec<Region> {
    Region::all()
        .filter(|region| crate::pattern::matches(region.as_str(), pattern))
        .collect()
}

/// Reads `{include: ..., exclude: ...}`: the regions that one names and the other does not; without `include`, of all.
pub(super) fn read(map: &serde_json::Map<String, Value>) -> Read<Vec<RegionShare>> {
    let mut problems = Vec::new();
    let mut named = |key: &str| -> Option<Vec<RegionShare>> {
        let value = map.get(key).filter(|value| !value.is_null())?;
        let read = each(value, |item| {
            if !item.is_string() {
                return Err(wrong_type(item, "the name of a region, or a pattern").into());
            }
            regions(text(item, 64)?).map_err(Vec::from)
        });
        let at = format!(".{key}");
        match read {
            Ok(found) => Some(found.into_iter().flatten().collect()),
            Err(found) => {
                problems.extend(found.into_iter().map(|problem| problem.at(&at)));
                Some(Vec::new())
            }
        }
    };
    let included = named("include");
    let excluded = named("exclude").unwrap_or_default();
    for name in map.keys() {
        if !matches!(name.as_str(), "include" | "exclude") {
            let problem = Problem::new(format!("{} is neither include nor exclude", quoted(name)));
            let at = format!(".{name}");
            let hint = "counts of regions stand without include and exclude".to_owned();
            problems.push(problem.hint(hint).at(&at));
        }
    }
    let all = || regions("*").unwrap_or_default();
    let mut chosen: Vec<RegionShare> = Vec::new();
    for share in included.unwrap_or_else(all) {
        let is_excluded = excluded.iter().any(|other| other.region == share.region);
        match chosen
            .iter_mut()
            .find(|before| before.region == share.region)
        {
            // What is named beside a pattern is named.
            Some(before) => before.is_named |= share.is_named,
            None if !is_excluded => chosen.push(share),
            None => {}
        }
    }
    if problems.is_empty() && chosen.is_empty() {
        problems.push(Problem::new("no region is left"));
    }
    if problems.is_empty() {
        Ok(chosen)
    } else {
        Err(problems)
    }
}

/// The JSON Schema of `regions`; `names` are the regions, `counts` an object of regions and counts.
pub(super) fn schema(names: &[&str], counts: &Value) -> Value {
    let mut geographies: Vec<&str> = geographies().collect();
    geographies.dedup();
    let name = json!({"anyOf": [
        {"enum": names},
        {"enum": geographies},
        {"type": "string", "pattern": "\\*"},
    ]});
    let some = json!({"anyOf": [name, {"type": "array", "items": name, "minItems": 1}]});
    json!({"anyOf": [
        name,
        counts,
        {
            "type": "object",
            "properties": {"include": some, "exclude": some},
            "minProperties": 1,
            "additionalProperties": false,
        },
        {"type": "array", "minItems": 1, "items": {"anyOf": [name, counts]}},
    ]})
}

//! EC2: what really lives.

use super::client::Client;
use super::xml;
use crate::error::Result;

const VERSION: &str = "2016-11-15";

/// An instance as EC2 shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Instance {
    /// Its id.
    pub id: String,
    /// EC2's word for its state.
    pub state: String,
    /// Its type.
    pub kind: String,
    /// Where it is.
    pub region: String,
}

impl Instance {
    /// Whether it still exists for EC2.
    pub fn is_alive(&self) -> bool {
        !matches!(self.state.as_str(), "terminated" | "shutting-down")
    }
}

impl Client {
    /// All instances of a region, those that ended lately included.
    pub fn instances(&self, region: &str) -> Result<Vec<Instance>> {
        let client = self.in_region(region);
        let mut found = Vec::new();
        let mut parameters = vec![("MaxResults".to_owned(), "1000".to_owned())];
        loop {
            let answer = client.query("ec2", "DescribeInstances", VERSION, &parameters)?;
            found.extend(read_instances(&answer, region));
            match xml::text(&answer, "nextToken") {
                Some(token) if !token.is_empty() => {
                    parameters.truncate(1);
                    parameters.push(("NextToken".into(), token));
                }
                _ => return Ok(found),
            }
        }
    }

    /// The regions that the account uses.
    pub fn regions(&self) -> Result<Vec<String>> {
        let answer = self.query("ec2", "DescribeRegions", VERSION, &[])?;
        Ok(xml::elements(&answer, "regionName")
            .map(str::to_owned)
            .collect())
    }

    /// All instances of all regions.
    pub fn all_instances(&self) -> Result<Vec<Instance>> {
        let mut all = Vec::new();
        for region in self.regions()? {
            all.extend(self.instances(&region)?);
        }
        Ok(all)
    }
}

fn read_instances(answer: &str, region: &str) -> Vec<Instance> {
    xml::elements(answer, "instancesSet")
        .flat_map(|set| xml::elements(set, "item"))
        .filter_map(|instance| {
            let state = xml::elements(instance, "instanceState").next()?;
            Some(Instance {
                id: xml::text(instance, "instanceId")?,
                state: xml::text(state, "name")?,
                kind: xml::text(instance, "instanceType").unwrap_or_default(),
                region: region.into(),
            })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instances_of_several_reservations_are_read() {
        let instance = |id: &str, state: &str| {
            format!(
                "<item><instancesSet><item><instanceId>{id}</instanceId><instanceState><code>1</code><name>{state}</name>\
                 </instanceState><tagSet><item><key>a</key></item></tagSet><instanceType>t3.micro</instanceType></item></instancesSet></item>"
            )
        };
        let answer = format!(
            "<reservationSet>{}{}</reservationSet>",
            instance("i-1", "running"),
            instance("i-2", "terminated")
        );
        let found = read_instances(&answer, "us-east-1");
        assert_eq!(
            found
                .iter()
                .map(|found| (found.id.as_str(), found.is_alive()))
                .collect::<Vec<_>>(),
            [("i-1", true), ("i-2", false)]
        );
        assert_eq!(found[0].kind, "t3.micro");
    }
}

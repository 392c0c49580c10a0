//! Resources that a user asks for: `requests.cpu=250m`.
//!
//! Reads them and holds them against what the pod's volumes need; what a node has is not known here.

use std::collections::BTreeMap;
use std::str::FromStr;

use k8s_openapi::api::core::v1::ResourceRequirements;
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;

use super::GenerateError;
use crate::kube::given::expand::{quantity as bytes, thousandths};
use crate::kube::pod::{self, Room};

/// One resource that a user asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Demand {
    bound: Bound,
    resource: Resource,
    /// As it was written.
    said: String,
    /// Thousandths of a processor, or bytes.
    amount: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Bound {
    Request,
    Limit,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Resource {
    Cpu,
    Memory,
    Disk,
}

impl Bound {
    const ALL: [Self; 2] = [Self::Request, Self::Limit];

    fn name(self) -> &'static str {
        match self {
            Self::Request => "requests",
            Self::Limit => "limits",
        }
    }
}

impl Resource {
    const ALL: [Self; 3] = [Self::Cpu, Self::Memory, Self::Disk];

    fn name(self) -> &'static str {
        match self {
            Self::Cpu => "cpu",
            Self::Memory => "memory",
            Self::Disk => "ephemeral-storage",
        }
    }

    fn amount(self, text: &str) -> Option<u64> {
        match self {
            Self::Cpu => thousandths(text),
            Self::Memory | Self::Disk => bytes(text),
        }
        .filter(|&amount| amount > 0)
    }
}

/// Something that is no demand.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ParseDemandError {
    /// No resource that a pod has.
    #[error(
        "expected `requests.` or `limits.` and `cpu`, `memory` or `ephemeral-storage`, as in `limits.memory=1Gi`, found `{0}`"
    )]
    Name(String),
    /// No quantity.
    #[error("{name}: expected a quantity such as `{example}`, found `{said}`")]
    Quantity {
        /// Of what.
        name: String,
        /// One that is.
        example: &'static str,
        /// What it is.
        said: String,
    },
}

impl FromStr for Demand {
    type Err = ParseDemandError;

    fn from_str(text: &str) -> Result<Self, ParseDemandError> {
        let wrong = || ParseDemandError::Name(text.to_owned());
        let (name, said) = text.split_once('=').ok_or_else(wrong)?;
        let (bound, resource) = name.split_once('.').ok_or_else(wrong)?;
        let bound = Bound::ALL.into_iter().find(|known| known.name() == bound).ok_or_else(wrong)?;
        let resource = Resource::ALL.into_iter().find(|known| known.name() == resource).ok_or_else(wrong)?;
        let example = if resource == Resource::Cpu { "250m" } else { "512Mi" };
        let said = said.to_owned();
        let amount = resource.amount(&said).ok_or_else(|| ParseDemandError::Quantity {
            name: name.to_owned(),
            example,
            said: said.clone(),
        })?;
        Ok(Self { bound, resource, said, amount })
    }
}

/// What a container with volumes of that `room` asks for, with the user's `demands`; the last of several counts.
pub(super) fn resources(room: &Room, demands: &[Demand]) -> Result<ResourceRequirements, GenerateError> {
    let mut resources = pod::resources(room);
    let default = resources.clone();
    let requests = resources.requests.get_or_insert_default();
    let limits = resources.limits.get_or_insert_default();
    for demand in demands {
        let value = Quantity(demand.said.clone());
        let name = demand.resource.name().to_owned();
        if demand.resource == Resource::Disk {
            // Both are one number: what a pod may fill the scheduler must know of.
            requests.insert(name.clone(), value.clone());
            limits.insert(name, value);
            continue;
        }
        match demand.bound {
            Bound::Request => requests.insert(name, value),
            Bound::Limit => limits.insert(name, value),
        };
    }
    let is_asked = |bound: Bound, resource: Resource| {
        demands.iter().any(|demand| (demand.bound, demand.resource) == (bound, resource))
    };
    for resource in Resource::ALL {
        let name = resource.name();
        let (Some(request), Some(limit)) = (requests.get(name).cloned(), limits.get(name).cloned()) else {
            continue;
        };
        if amount(resource, &limit) >= amount(resource, &request) {
            continue;
        }
        // What nobody asked for gives way.
        if !is_asked(Bound::Request, resource) {
            requests.insert(name.to_owned(), limit);
        } else if !is_asked(Bound::Limit, resource) {
            limits.insert(name.to_owned(), request);
        } else {
            return Err(GenerateError::Little {
                field: format!("limits.{name}"),
                said: limit.0,
                least: request.0,
                why: "that much is requested",
            });
        }
    }
    hold(
        Resource::Memory,
        limits,
        room.memory.saturating_mul(2),
        "the volumes in memory take no more than half",
    )?;
    let disk = default.limits.iter().find_map(|all| all.get(Resource::Disk.name()));
    let disk = disk.map_or(0, |least| amount(Resource::Disk, least));
    hold(Resource::Disk, limits, disk, "the volumes on disk and the log must fit")?;
    Ok(resources)
}

fn hold(
    resource: Resource,
    limits: &BTreeMap<String, Quantity>,
    least: u64,
    why: &'static str,
) -> Result<(), GenerateError> {
    match limits.get(resource.name()) {
        Some(limit) if amount(resource, limit) < least => Err(GenerateError::Little {
            field: format!("limits.{}", resource.name()),
            said: limit.0.clone(),
            least: pod::quantity(least).0,
            why,
        }),
        _ => Ok(()),
    }
}

fn amount(resource: Resource, quantity: &Quantity) -> u64 {
    resource.amount(&quantity.0).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn demands(texts: &[&str]) -> Vec<Demand> {
        texts.iter().map(|text| text.parse().unwrap()).collect()
    }

    #[test]
    fn demands_are_read_with_their_quantities() {
        for (text, amount) in [
            ("requests.cpu=250m", 250),
            ("limits.cpu=1.5", 1500),
            ("limits.cpu=2", 2000),
            ("limits.cpu=1k", 1_000_000),
            ("limits.memory=1Gi", 1 << 30),
            ("limits.memory=1e9", 1_000_000_000),
            ("requests.ephemeral-storage=2G", 2_000_000_000),
        ] {
            assert_eq!(text.parse::<Demand>().unwrap().amount, amount, "{text}");
        }
        for bad in [
            "cpu=1",
            "requests.cpu",
            "limits.disk=1",
            "limits.cpu=",
            "limits.cpu=0",
            "limits.cpu=+1m",
            "limits.cpu=1.2345",
            "limits.memory=lots",
            "limits.memory=-1",
            "limits.cpu=.5",
        ] {
            assert!(bad.parse::<Demand>().is_err(), "{bad}");
        }
    }

    #[test]
    fn demands_replace_defaults_and_what_nobody_asked_for_gives_way() {
        let room = Room { memory: 80 << 20, disk: 256 << 20 };
        let made =
            resources(&room, &demands(&["limits.memory=200Mi", "requests.ephemeral-storage=1Gi"])).unwrap();
        let (limits, requests) = (made.limits.unwrap(), made.requests.unwrap());
        assert_eq!((limits["memory"].0.as_str(), requests["memory"].0.as_str()), ("200Mi", "128Mi"));
        assert_eq!(
            (&limits["ephemeral-storage"].0, &requests["ephemeral-storage"].0),
            (&"1Gi".to_owned(), &"1Gi".to_owned())
        );
        let made = resources(&room, &demands(&["requests.memory=2Gi"])).unwrap();
        assert_eq!(made.limits.unwrap()["memory"].0, "2Gi");
        let small = Room { memory: 16 << 20, disk: 0 };
        let made = resources(&small, &demands(&["limits.memory=64Mi", "limits.cpu=50m"])).unwrap();
        let requests = made.requests.unwrap();
        assert_eq!((requests["memory"].0.as_str(), requests["cpu"].0.as_str()), ("64Mi", "50m"));
    }

    #[test]
    fn demands_that_the_volumes_do_not_fit_into_are_refused() {
        let room = Room { memory: 80 << 20, disk: 256 << 20 };
        for (texts, expected) in [
            (&["limits.memory=100Mi"][..], "limits.memory: 100Mi is less than 160Mi"),
            (&["limits.ephemeral-storage=256Mi"], "limits.ephemeral-storage: 256Mi is less than 384Mi"),
            (&["limits.cpu=1", "requests.cpu=2"], "limits.cpu: 1 is less than 2: that much is requested"),
        ] {
            let error = resources(&room, &demands(texts)).unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
        }
    }
}

//! What a node carries: what the model says, and what its report adds to that.
//!
//! The model (the sum of its segments' footprints) is what is balanced: it is exact, and changes only with decisions and with footprints.
//! A report may add a *background*: load that no segment explains, beyond the noise of reports. A report that contradicts the model by
//! more than a factor is set aside, and the node is named: to believe it would flood or empty the node, and everyone else with it.

use crate::cluster::{Node, RESOURCES, Resource, Resources};
use crate::policy::Policy;

/// What is made of a node's report.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Trust {
    /// There is none, or it is too old to say anything.
    Silent,
    /// It agrees with the model, or exceeds it plausibly.
    Believed,
    /// It says so many times what the model says, of this resource.
    Implausible(Resource, f64),
}

/// A node's load, as planned with.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct NodeLoad {
    /// Once all moves in flight are done; background included.
    pub projected: Resources,
    /// While they are charged at both ends; background and peaks of loads included.
    pub adjusted: Resources,
    /// What the report adds.
    pub background: Resources,
    /// What is made of the report.
    pub trust: Trust,
}

/// The load of `node` at `now_ms`.
pub fn of(node: &Node, policy: &Policy, now_ms: u64) -> NodeLoad {
    let (background, trust) = judge(node, policy, now_ms);
    let (mut projected, mut adjusted) = (node.projected, node.adjusted);
    adjusted.add(&Resources::new(node.load_peak_bytes, 0, 0));
    projected.add(&background);
    adjusted.add(&background);
    NodeLoad { projected, adjusted, background, trust }
}

fn judge(node: &Node, policy: &Policy, now_ms: u64) -> (Resources, Trust) {
    let nothing = Resources::default();
    let Some(report) = node.report.filter(|it| now_ms.saturating_sub(it.measured_at_ms) <= policy.report_age_max_ms) else {
        return (nothing, Trust::Silent);
    };
    let mut background = nothing;
    for resource in Resource::ALL {
        let (said, believed) = (report.load.get(resource) as f64, node.believed.0.get(resource) as f64);
        if let Some(ratio) = implausible(node, policy, resource, said, believed) {
            return (nothing, Trust::Implausible(resource, ratio));
        }
        background.0[resource as usize] = (said - believed * (1.0 + policy.report_noise)).max(0.0) as u64;
    }
    (background, Trust::Believed)
}

/// How many times what is believed a node says, if that is beyond belief. What is small beside its capacity is never.
fn implausible(node: &Node, policy: &Policy, resource: Resource, said: f64, believed: f64) -> Option<f64> {
    let small = node.spec.capacity.get(resource) as f64 / SMALL_PARTS;
    let least = node.believed.1.get(resource) as f64;
    let ratio = policy.report_implausible_ratio;
    let too_much = said > believed * ratio + small;
    let too_little = said * ratio + small < least;
    (too_much || too_little).then(|| said / believed.max(1.0))
}

/// A load below this part of the capacity is too small for a ratio to say anything.
const SMALL_PARTS: f64 = 20.0;

const _: () = assert!(RESOURCES == Resource::ALL.len());

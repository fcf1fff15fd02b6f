//! What of the catalog is fit to become a member of the route table. Pure.
//!
//! Everything that stands in the catalog was written by some machine of the fleet, or by
//! whoever got hold of a token: it is checked here, and what makes no sense is left out by
//! itself, without harm to the rest.
#![deny(
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic
)]

use rackcast_consul::client::{Health, Instance};
use rackcast_route::{Endpoint, Member, NodeId, Tier};
use rackcast_segment::wire::PROTOCOL;
use rackcast_service::status::Role;
use rackcast_service::tls::{self, Identity};

use crate::dispatch::{Insecure, Security};

/// The longest ID, zone and host name, in bytes.
const MAX_ID: usize = 256;
const MAX_ZONE: usize = 64;
const MAX_HOST: usize = 253;
/// Beyond any machine of today.
const MAX_SLOTS: u32 = 1024;
const MAX_PIXEL_RATE: f64 = 1e13;

/// Why an instance is left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum Unfit {
    /// Its ID is empty, too long or unreadable.
    #[error("its service ID is not valid")]
    Id,
    /// Its address or port cannot be connected to.
    #[error("its address or port is not valid")]
    Address,
    /// It speaks another version of the protocol, or does not say which.
    #[error("its meta `protocol` is not {PROTOCOL}")]
    Protocol,
    /// Its zone is too long or unreadable.
    #[error("its meta `zone` is not valid")]
    Zone,
    /// Its slots are no number from 1 to 1024.
    #[error("its meta `slots` is not a number from 1 to 1024")]
    Slots,
    /// Its pixel rate is no number from 0 up.
    #[error("its meta `pixel-rate` is not a number of pixels a second")]
    PixelRate,
    /// Its identity is none of a transcode node, or that of another than its ID names.
    #[error("its meta `{IDENTITY}` is not the identity of the transcode node that its ID names")]
    Identity,
    /// It may not be spoken to.
    #[error(transparent)]
    Insecure(#[from] Insecure),
}

/// Meta key under which a node says that it speaks TLS, and as whom.
const IDENTITY: &str = "tls-identity";

/// What a catalog's list yields.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Selection {
    /// Nodes that may be given work.
    pub(super) members: Vec<Member>,
    /// Instances that make no sense.
    pub(super) unfit: Vec<(String, Unfit)>,
}

/// The members among these instances.
///
/// One in maintenance gets no work. One that is critical gets none while there is any that is
/// not; when all are, the checks are likelier to be wrong than every machine, and what the
/// nodes do decides.
///
/// An ID is unique within a Consul datacenter. Where they come from `several`, the datacenter is a
/// part of it: two machines of one name are two nodes. So are zones that are called alike.
pub(super) fn select<'a>(
    instances: impl Iterator<Item = &'a Instance> + Clone,
    security: &Security,
    several: bool,
) -> Selection {
    let wanted = |i: &&Instance| !i.maintenance;
    let any_alive = instances
        .clone()
        .filter(wanted)
        .any(|i| i.health != Health::Critical);
    let mut selection = Selection::default();
    for instance in instances.filter(wanted) {
        if any_alive && instance.health == Health::Critical {
            continue;
        }
        match member(instance, security) {
            Ok(mut member) => {
                if several {
                    let id = format!("{}/{}", instance.datacenter, instance.id);
                    member.id = NodeId::from(id.as_str());
                    // Two datacenters may call their zones alike: they share no fate.
                    if member.zone != instance.datacenter {
                        member.zone = format!("{}/{}", instance.datacenter, member.zone);
                    }
                }
                selection.members.push(member);
            }
            Err(unfit) => {
                let id = instance.id.chars().take(MAX_ID).collect();
                selection.unfit.push((id, unfit));
            }
        }
    }
    selection
}

/// What an instance is, if it makes sense and may be spoken to.
pub(super) fn member(instance: &Instance, security: &Security) -> Result<Member, Unfit> {
    let meta = |key: &str| instance.meta.get(key).map(String::as_str);
    if !is_text(&instance.id, MAX_ID) || instance.id.is_empty() {
        return Err(Unfit::Id);
    }
    let host = instance.address.as_str();
    let in_host = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_' | ':');
    if host.is_empty() || host.len() > MAX_HOST || !host.chars().all(in_host) || instance.port == 0
    {
        return Err(Unfit::Address);
    }
    if meta("protocol").and_then(|v| v.parse().ok()) != Some(PROTOCOL) {
        return Err(Unfit::Protocol);
    }
    let zone = meta("zone").filter(|zone| !zone.is_empty());
    let zone = zone.unwrap_or(&instance.datacenter);
    if !is_text(zone, MAX_ZONE) {
        return Err(Unfit::Zone);
    }
    let slots = meta("slots").map_or(Ok(1), str::parse);
    let slots = slots.map_err(|_| Unfit::Slots)?;
    if !(1..=MAX_SLOTS).contains(&slots) {
        return Err(Unfit::Slots);
    }
    let pixel_rate = match meta("pixel-rate").map(str::parse::<f64>) {
        None => None,
        Some(Ok(rate)) if (0.0..=MAX_PIXEL_RATE).contains(&rate) => Some(rate),
        Some(_) => return Err(Unfit::PixelRate),
    };
    let identity = meta(IDENTITY).map(|text| named(instance, text));
    let identity = identity.transpose()?;
    security.admits(identity.as_ref())?;
    let endpoint = Endpoint::new(host, instance.port);
    Ok(Member {
        id: NodeId::from(instance.id.as_str()),
        zone: zone.to_owned(),
        endpoint: match identity {
            Some(identity) => endpoint.proven(&identity.to_string(), tier(identity.tier)),
            None => endpoint,
        },
        slots,
        pixel_rate: pixel_rate.filter(|rate| *rate > 0.0),
        weight: instance.weight_passing.max(1),
    })
}

/// The identity that an instance claims. It is to be proved by whoever answers; here it must only
/// be that of the node under whose ID (`SERVICE-NODE-INSTANCE`) it stands, so that no node of the
/// fleet passes for another. An instance's name has no `-` where TLS is spoken.
fn named(instance: &Instance, text: &str) -> Result<Identity, Unfit> {
    let identity: Identity = text.parse().map_err(|_| Unfit::Identity)?;
    let rest = instance.id.strip_prefix(instance.service.as_str());
    let rest = rest.and_then(|rest| rest.strip_prefix('-'));
    let node = rest.and_then(|rest| rest.rsplit_once('-'));
    match node {
        Some((node, _)) if node == identity.node && identity.role == Role::Transcode => {
            Ok(identity)
        }
        _ => Err(Unfit::Identity),
    }
}

fn tier(tier: tls::Tier) -> Tier {
    match tier {
        tls::Tier::Trusted => Tier::Trusted,
        tls::Tier::ThirdParty => Tier::ThirdParty,
    }
}

fn is_text(s: &str, max: usize) -> bool {
    s.len() <= max && !s.chars().any(char::is_control)
}

#[cfg(test)]
#[allow(clippy::indexing_slicing, clippy::arithmetic_side_effects)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn instance(id: &str, meta: &[(&str, &str)]) -> Instance {
        let mut all = vec![("protocol", "1")];
        all.extend_from_slice(meta);
        Instance {
            id: id.to_owned(),
            service: "rackcast-transcode".to_owned(),
            node: "n1".to_owned(),
            address: "10.0.0.1".to_owned(),
            port: 7000,
            tags: Vec::new(),
            meta: all
                .into_iter()
                .map(|(k, v)| (k.to_owned(), v.to_owned()))
                .collect(),
            weight_passing: 1,
            datacenter: "dc1".to_owned(),
            health: Health::Passing,
            maintenance: false,
            maintenance_reason: String::new(),
        }
    }

    fn ids(selection: &Selection) -> Vec<&str> {
        selection.members.iter().map(|m| m.id.as_str()).collect()
    }

    #[test]
    fn meta_becomes_a_member() {
        let i = instance(
            "a",
            &[("zone", "z1"), ("slots", "4"), ("pixel-rate", "2e8")],
        );
        let selection = select([&i].into_iter(), &Security::none(), false);
        let expected = Member {
            id: "a".into(),
            zone: "z1".to_owned(),
            endpoint: Endpoint::new("10.0.0.1", 7000),
            slots: 4,
            pixel_rate: Some(2e8),
            weight: 1,
        };
        assert_eq!(selection.members, [expected]);
        assert!(selection.unfit.is_empty());
    }

    #[test]
    fn machines_and_zones_of_one_name_in_two_datacenters_are_two() {
        let hall = [("zone", "hall-1")];
        let (mut a, b) = (instance("n1", &hall), instance("n1", &hall));
        a.datacenter = "dc2".to_owned();
        let c = instance("n2", &[]);
        let selection = select([&a, &b, &c].into_iter(), &Security::none(), true);
        assert_eq!(ids(&selection), ["dc2/n1", "dc1/n1", "dc1/n2"]);
        let zones = selection.members.iter().map(|m| m.zone.as_str());
        assert_eq!(
            zones.collect::<Vec<_>>(),
            ["dc2/hall-1", "dc1/hall-1", "dc1"]
        );
    }

    #[test]
    fn bad_instances_are_left_out_one_by_one() {
        let long = "x".repeat(300);
        let mut bad = vec![
            (instance("", &[]), Unfit::Id),
            (instance("a\nb", &[]), Unfit::Id),
            (instance(&long, &[]), Unfit::Id),
            (instance("a", &[("protocol", "2")]), Unfit::Protocol),
            (instance("a", &[("protocol", "")]), Unfit::Protocol),
            (instance("a", &[("zone", &long)]), Unfit::Zone),
            (instance("a", &[("slots", "0")]), Unfit::Slots),
            (instance("a", &[("slots", "-1")]), Unfit::Slots),
            (instance("a", &[("slots", "99999999999")]), Unfit::Slots),
            (instance("a", &[("pixel-rate", "NaN")]), Unfit::PixelRate),
            (instance("a", &[("pixel-rate", "inf")]), Unfit::PixelRate),
            (instance("a", &[("pixel-rate", "-3")]), Unfit::PixelRate),
        ];
        for address in ["", "host/path", "host name", "a@b", "ä", &long] {
            let mut i = instance("a", &[]);
            i.address = address.to_owned();
            bad.push((i, Unfit::Address));
        }
        let mut i = instance("a", &[]);
        i.port = 0;
        bad.push((i, Unfit::Address));
        for (i, unfit) in bad {
            let good = instance("good", &[]);
            let selection = select([&i, &good].into_iter(), &Security::none(), false);
            assert_eq!(ids(&selection), ["good"], "{i:?}");
            assert_eq!(selection.unfit[0].1, unfit, "{i:?}");
        }
    }

    #[test]
    fn maintenance_gets_no_work_and_critical_only_when_all_are() {
        let (mut a, mut b, mut c) = (instance("a", &[]), instance("b", &[]), instance("c", &[]));
        a.health = Health::Critical;
        b.health = Health::Warning;
        c.maintenance = true;
        assert_eq!(
            ids(&select([&a, &b, &c].into_iter(), &Security::none(), false)),
            ["b"]
        );
        b.health = Health::Critical;
        assert_eq!(
            ids(&select([&a, &b, &c].into_iter(), &Security::none(), false)),
            ["a", "b"]
        );
    }

    #[test]
    fn an_identity_must_be_that_of_the_node_that_the_id_names() {
        const GPU: &str = "spiffe://video.example/rackcast/transcode/third-party/gpu-7";
        let claim = |id: &str, identity: &str| {
            let i = instance(id, &[("tls-identity", identity)]);
            named(&i, identity).map(|identity| identity.to_string())
        };
        assert_eq!(claim("rackcast-transcode-gpu-7-1", GPU), Ok(GPU.to_owned()));
        for id in [
            "rackcast-transcode-gpu-8-1",
            "rackcast-transcode-gpu-7",
            "rackcast-transcode-gpu-7-1-2",
            "rackcast-transcode-7-1",
            "gpu-7-1",
            "gpu-7",
        ] {
            assert_eq!(claim(id, GPU), Err(Unfit::Identity), "{id}");
        }
        let ingest = GPU.replace("transcode", "ingest");
        for identity in [ingest.as_str(), "", "yes", "spiffe://video.example/gpu-7"] {
            let claim = claim("rackcast-transcode-gpu-7-1", identity);
            assert_eq!(claim, Err(Unfit::Identity), "{identity}");
        }
    }

    #[test]
    fn a_node_that_wants_tls_is_never_spoken_to_without() {
        let identity = "spiffe://video.example/rackcast/transcode/trusted/n1";
        let i = instance("rackcast-transcode-n1-1", &[("tls-identity", identity)]);
        let selection = select([&i].into_iter(), &Security::none(), false);
        assert_eq!(selection.members, []);
        assert_eq!(selection.unfit[0].1, Insecure::NoCertificate.into());
    }

    proptest! {
        #[test]
        fn nothing_in_the_catalog_panics(
            id in ".*", address in ".*", port: u16,
            meta in prop::collection::btree_map("protocol|zone|slots|pixel-rate|tls-identity|.*", ".*|[0-9]+", 0..6),
        ) {
            let mut i = instance(&id, &[]);
            (i.address, i.port) = (address, port);
            i.meta.extend(meta);
            let selection = select([&i].into_iter(), &Security::none(), false);
            prop_assert_eq!(selection.members.len() + selection.unfit.len(), 1);
        }
    }
}

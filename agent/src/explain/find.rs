//! Where the ingests are.

use std::collections::BTreeSet;
use std::net::IpAddr;

use futures_util::future::join_all;
use rackcast_consul::client::{HealthQuery, Instance};
use url::Url;

use super::Ingests;

/// An ingest to be asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Ingest {
    /// What it is called in complaints.
    pub(crate) name: String,
    /// `http://HOST:PORT` of its admin address.
    pub(crate) base: String,
    /// Its ID, where another ingest could be met at that address.
    pub(crate) expect: Option<String>,
}

/// Those that the options name, else those in Consul; and what kept others from being found.
pub(crate) async fn ingests(options: &Ingests) -> (Vec<Ingest>, Vec<String>) {
    if !options.ingest.is_empty() {
        return (options.ingest.iter().map(named).collect(), Vec::new());
    }
    let client = match options.reach.client() {
        Ok(client) => client,
        Err(error) => return (Vec::new(), vec![format!("--consul: {error}")]),
    };
    let datacenters: Vec<_> = match options.datacenter.as_slice() {
        [] => vec![None],
        some => some.iter().map(|dc| Some(dc.as_str())).collect(),
    };
    let services: BTreeSet<_> = options
        .service_prefix
        .iter()
        .map(|prefix| format!("{prefix}-ingest"))
        .collect();
    let lookups = datacenters.iter().flat_map(|dc| {
        let client = &client;
        services.iter().map(move |service| async move {
            let query = HealthQuery {
                service,
                datacenter: *dc,
                ..HealthQuery::default()
            };
            client.health_service(&query).await.map(|found| found.value)
        })
    });
    let (mut ingests, mut complaints) = (Vec::new(), BTreeSet::new());
    for found in join_all(lookups).await {
        match found {
            Ok(instances) => {
                for instance in &instances {
                    match registered(instance) {
                        Some(ingest) => ingests.push(ingest),
                        None => {
                            let id = &instance.id;
                            complaints.insert(format!("{id}: Consul has no admin port of it"));
                        }
                    }
                }
            }
            Err(error) => {
                complaints.insert(format!("Consul at {}: {error}", options.reach.consul));
            }
        }
    }
    (ingests, complaints.into_iter().collect())
}

fn named(url: &Url) -> Ingest {
    let base = url.as_str().trim_end_matches('/').to_owned();
    Ingest {
        name: base.clone(),
        base,
        expect: None,
    }
}

/// Where a registered ingest says that its admin address is. One that listens on loopback alone
/// can be asked from its own machine; elsewhere that address may be another ingest's.
fn registered(instance: &Instance) -> Option<Ingest> {
    let port: u16 = instance.meta.get("admin-port")?.parse().ok()?;
    let host = instance.meta.get("admin-address");
    let host = host.unwrap_or(&instance.address);
    let ip: Option<IpAddr> = host.parse().ok();
    let base = match ip {
        Some(IpAddr::V6(ip)) => format!("http://[{ip}]:{port}"),
        _ => format!("http://{host}:{port}"),
    };
    Some(Ingest {
        name: instance.id.clone(),
        base,
        expect: ip
            .is_some_and(|ip| ip.is_loopback())
            .then(|| instance.id.clone()),
    })
}

#[cfg(test)]
mod tests {
    use rackcast_consul::client::Health;

    use super::*;

    fn instance(address: &str, meta: &[(&str, &str)]) -> Instance {
        let pair = |(k, v): &(&str, &str)| ((*k).to_owned(), (*v).to_owned());
        Instance {
            id: "rackcast-ingest-n1-1".to_owned(),
            service: "rackcast-ingest".to_owned(),
            node: "n1".to_owned(),
            address: address.to_owned(),
            port: 1935,
            tags: Vec::new(),
            meta: meta.iter().map(pair).collect(),
            weight_passing: 1,
            datacenter: "dc1".to_owned(),
            health: Health::Critical,
            maintenance: false,
            maintenance_reason: String::new(),
        }
    }

    fn found(address: &str, meta: &[(&str, &str)]) -> Option<(String, bool)> {
        let ingest = registered(&instance(address, meta))?;
        Some((ingest.base, ingest.expect.is_some()))
    }

    #[test]
    fn the_admin_address_is_that_of_the_service_unless_it_has_its_own() {
        let at = |base: &str, checked| Some((base.to_owned(), checked));
        let port = ("admin-port", "9611");
        assert_eq!(
            found("10.0.0.7", &[port]),
            at("http://10.0.0.7:9611", false)
        );
        assert_eq!(found("rack-1", &[port]), at("http://rack-1:9611", false));
        assert_eq!(
            found("fd00::1", &[port]),
            at("http://[fd00::1]:9611", false)
        );
        let own = ("admin-address", "10.9.0.7");
        assert_eq!(
            found("10.0.0.7", &[port, own]),
            at("http://10.9.0.7:9611", false)
        );
        let loopback = ("admin-address", "127.0.0.1");
        assert_eq!(
            found("10.0.0.7", &[port, loopback]),
            at("http://127.0.0.1:9611", true)
        );
        assert_eq!(found("10.0.0.7", &[]), None);
        assert_eq!(found("10.0.0.7", &[("admin-port", "x")]), None);
    }
}

//! Whether the Consul agent of this machine answers.

use rackcast_consul::client::Client;

use super::Finding;

pub(super) async fn look(client: &Client) -> Finding {
    match client.agent_services().await {
        Ok(_) => Finding::well("the Consul agent answers"),
        Err(error) => Finding::warning(error.to_string()),
    }
}

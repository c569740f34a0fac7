//! How raft messages reach other nodes. A cluster of one has none: its transport reaches nobody.

use super::entry::TypeConfig;
use openraft::error::{InstallSnapshotError, RPCError, RaftError, Unreachable};
use openraft::network::{RPCOption, RaftNetwork, RaftNetworkFactory};
use openraft::raft::{
    AppendEntriesRequest, AppendEntriesResponse, InstallSnapshotRequest, InstallSnapshotResponse, VoteRequest, VoteResponse,
};
use openraft::{AnyError, BasicNode};
use std::fmt::Debug;
use std::future::Future;
use std::sync::Arc;

/// A message to another node.
#[derive(Debug)]
pub enum Request {
    /// Entries to append, or a heartbeat.
    Append(AppendEntriesRequest<TypeConfig>),
    /// A request for a vote.
    Vote(VoteRequest<u64>),
    /// A piece of a raft snapshot.
    Snapshot(InstallSnapshotRequest<TypeConfig>),
}

/// The other node's answer.
#[derive(Debug)]
pub enum Response {
    /// To [`Request::Append`].
    Append(AppendEntriesResponse<u64>),
    /// To [`Request::Vote`].
    Vote(VoteResponse<u64>),
    /// To [`Request::Snapshot`].
    Snapshot(InstallSnapshotResponse<u64>),
}

/// Carries one message to a node and its answer back.
pub trait Transport: Debug + Send + Sync + 'static {
    /// Sends `request` to node `target`; an error says that it was not reached, or did not answer.
    fn send(&self, target: u64, request: Request) -> impl Future<Output = Result<Response, String>> + Send;
}

/// Reaches nobody.
#[derive(Debug)]
pub struct Alone;

impl Transport for Alone {
    async fn send(&self, target: u64, _request: Request) -> Result<Response, String> {
        Err(format!("node {target} is not part of this cluster of one"))
    }
}

/// Makes openraft's connections from a transport.
#[derive(Debug)]
pub struct Network<T>(pub Arc<T>);

/// openraft's connection to one node.
#[derive(Debug)]
pub struct Peer<T> {
    transport: Arc<T>,
    target: u64,
}

impl<T: Transport> RaftNetworkFactory<TypeConfig> for Network<T> {
    type Network = Peer<T>;

    async fn new_client(&mut self, target: u64, _node: &BasicNode) -> Peer<T> {
        Peer { transport: self.0.clone(), target }
    }
}

type RpcResult<R, E> = Result<R, RPCError<u64, BasicNode, E>>;

impl<T: Transport> Peer<T> {
    async fn send<E: std::error::Error>(&self, request: Request) -> RpcResult<Response, E> {
        self.transport.send(self.target, request).await.map_err(unreachable)
    }
}

fn unreachable<E: std::error::Error>(reason: String) -> RPCError<u64, BasicNode, E> {
    RPCError::Unreachable(Unreachable::new(&AnyError::error(reason)))
}

fn mismatch<E: std::error::Error>() -> RPCError<u64, BasicNode, E> {
    unreachable("the answer does not fit the request".to_owned())
}

impl<T: Transport> RaftNetwork<TypeConfig> for Peer<T> {
    async fn append_entries(
        &mut self,
        rpc: AppendEntriesRequest<TypeConfig>,
        _option: RPCOption,
    ) -> RpcResult<AppendEntriesResponse<u64>, RaftError<u64>> {
        match self.send(Request::Append(rpc)).await? {
            Response::Append(response) => Ok(response),
            _ => Err(mismatch()),
        }
    }

    async fn install_snapshot(
        &mut self,
        rpc: InstallSnapshotRequest<TypeConfig>,
        _option: RPCOption,
    ) -> RpcResult<InstallSnapshotResponse<u64>, RaftError<u64, InstallSnapshotError>> {
        match self.send(Request::Snapshot(rpc)).await? {
            Response::Snapshot(response) => Ok(response),
            _ => Err(mismatch()),
        }
    }

    async fn vote(&mut self, rpc: VoteRequest<u64>, _option: RPCOption) -> RpcResult<VoteResponse<u64>, RaftError<u64>> {
        match self.send(Request::Vote(rpc)).await? {
            Response::Vote(response) => Ok(response),
            _ => Err(mismatch()),
        }
    }
}

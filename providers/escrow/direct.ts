/**
 * Envelopes of our own: the call as we would make it (the same building that every envelope is held against), completed
 * by a simulation on our own RPC. No request ever goes to Trustless Work.
 */
import { randomBytes } from 'node:crypto';
import { Account, Operation, TransactionBuilder, xdr } from '@stellar/stellar-sdk/base';
import { ENVELOPE_LIFETIME_S } from '../../domain/limits.ts';
import { createAssetContracts } from '../chain/movements.ts';
import type { ChainRpc, Pooled, Simulation } from '../chain/port.ts';
import { ProviderError } from '../errors.ts';
import type { ContractBook } from './contracts.ts';
import { expectedInvocation } from './invocation.ts';
import type { EscrowGateway } from './port.ts';

/** Inclusion fee of the inner transaction, stroops: the least there is, the sponsor's fee bump makes the bid. */
const INCLUSION_FEE = '100';

const refused = (message: string): ProviderError => new ProviderError('REFUSED', 'rpc', message);

interface Header {
  readonly networkPassphrase: string;
  readonly source: string;
  /** the source's last used sequence number */
  readonly sequence: bigint;
  /** unix seconds */
  readonly maxTime: number;
}

/** A transaction of one contract call, as base64; without `completed` only good for simulating. */
function transactionOf(header: Header, call: xdr.InvokeContractArgs, completed?: Completed): string {
  const builder = new TransactionBuilder(new Account(header.source, header.sequence.toString()), {
    fee: INCLUSION_FEE,
    networkPassphrase: header.networkPassphrase,
    timebounds: { minTime: 0, maxTime: header.maxTime },
  });
  const func = xdr.HostFunction.hostFunctionTypeInvokeContract(call);
  builder.addOperation(Operation.invokeHostFunction({ func, auth: [...(completed?.auth ?? [])] }));
  if (completed !== undefined) builder.setSorobanData(completed.data);
  return builder.build().toXdr();
}

interface Completed {
  /** footprint, resources and resource fee; the fee comes on top of the inclusion fee */
  readonly data: xdr.SorobanTransactionData;
  readonly auth: readonly xdr.SorobanAuthorizationEntry[];
}

/** @throws ProviderError REFUSED when the contract or the host refuses the call, MALFORMED for an answer without sense */
function completedBy(simulation: Simulation): Completed {
  if (simulation.status === 'FAILED') throw refused(simulation.error.slice(0, 500));
  try {
    return {
      data: xdr.SorobanTransactionData.fromXdr(simulation.data, 'base64'),
      auth: simulation.auth.map((entry) => xdr.SorobanAuthorizationEntry.fromXdr(entry, 'base64')),
    };
  } catch (cause) {
    throw new ProviderError('MALFORMED', 'rpc', 'simulateTransaction: cannot be decoded', { cause });
  }
}

/**
 * The gateway without an API. What it builds is verified like a stranger's: footprint, fee and authorisation are an RPC's
 * word. @throws from `build`: ProviderError, ContractRefused
 */
export function createDirect(deps: {
  readonly rpc: ChainRpc | Pooled<ChainRpc>;
  readonly networkPassphrase: string;
  readonly contracts: ContractBook;
}): EscrowGateway {
  const { rpc, networkPassphrase, contracts } = deps;
  const contractOf = createAssetContracts(networkPassphrase);
  return {
    name: 'direct',
    taskQueue: 'chain',
    build: async (call) => {
      // Sequence, stored escrow and footprint of one moment, as one provider knows it.
      const one = 'pinned' in rpc ? await rpc.pinned() : rpc;
      const [facts, account, ledger, state] = await Promise.all([
        contracts(call),
        one.account(call.source),
        one.latestLedger(),
        call.fn === 'fund' ? one.escrowState(call.contractId) : null,
      ]);
      if (account.value === null) throw refused(`${call.source} does not exist`);
      if (state?.value === null) throw refused('the contract stores no escrow');
      const deploys = call.fn === 'deploy';
      const invocation = expectedInvocation(call, {
        ...facts,
        assetContract: deploys ? contractOf(call.terms.asset) : null,
        escrowState: state?.value ?? null,
        salt: deploys ? new Uint8Array(randomBytes(32)) : null,
      });
      const header = {
        networkPassphrase,
        source: call.source,
        sequence: account.value.sequence,
        maxTime: ledger.closedAt + ENVELOPE_LIFETIME_S,
      };
      const simulation = await one.simulate(transactionOf(header, invocation));
      return transactionOf(header, invocation, completedBy(simulation));
    },
    // There is no index to tell.
    nudge: async () => undefined,
  };
}

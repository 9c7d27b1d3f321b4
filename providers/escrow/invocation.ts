/** The contract calls as we would make them ourselves, byte for byte: what a provider's envelope is held against. */
import { Buffer } from 'node:buffer';
import { createHash } from 'node:crypto';
import { Address, StrKey, nativeToScVal, scValToNative, xdr } from '@stellar/stellar-sdk/base';
import type { Distribution, EscrowCall, EscrowTerms } from '../../domain/chain.ts';
import type { ContractFacts } from './contracts.ts';

const text = (value: string): xdr.ScVal => xdr.ScVal.scvString(value);
const symbol = (value: string): xdr.ScVal => xdr.ScVal.scvSymbol(value);
const u32 = (value: number): xdr.ScVal => xdr.ScVal.scvU32(value);
const i128 = (value: bigint): xdr.ScVal => nativeToScVal(value, { type: 'i128' });
const address = (value: string): xdr.ScVal => new Address(value).toScVal();
const no = xdr.ScVal.scvBool(false);

/** A contract struct: symbol keys in ascending order, exactly the declared fields. */
function struct(fields: Readonly<Record<string, xdr.ScVal>>): xdr.ScVal {
  const entries = Object.entries(fields).sort(([a], [b]) => (a < b ? -1 : 1));
  return xdr.ScVal.scvMap(entries.map(([key, val]) => new xdr.ScMapEntry({ key: symbol(key), val })));
}

/**
 * One entry per address, in the order in which the contract pays: by the address' XDR (accounts before contracts, then
 * by bytes), not by its text. The host refuses a map in any other order, and one that repeats a key.
 */
export function mergeDistributions(distributions: readonly Distribution[]): Distribution[] {
  const sums = new Map<string, bigint>();
  for (const { address: to, amount } of distributions) sums.set(to, (sums.get(to) ?? 0n) + amount);
  return [...sums]
    .map(([to, amount]) => ({ key: address(to).toXdr(), address: to, amount }))
    .sort((a, b) => Buffer.compare(a.key, b.key))
    .map(({ address: to, amount }) => ({ address: to, amount }));
}

const shares = (distributions: readonly Distribution[]): xdr.ScVal =>
  xdr.ScVal.scvMap(
    mergeDistributions(distributions).map(
      (share) => new xdr.ScMapEntry({ key: address(share.address), val: i128(share.amount) }),
    ),
  );

/** The `Escrow` struct a deploy initialises the contract with. */
export function initialEscrow(terms: EscrowTerms, assetContract: string): xdr.ScVal {
  const single = terms.type === 'SINGLE_RELEASE';
  const settled = { disputed: no, released: no, resolved: no };
  const milestones = terms.milestones.map(({ description, amount, receiver }) => {
    const common = { description: text(description), status: text('pending'), evidence: text('') };
    return single
      ? struct({ ...common, approved: no })
      : struct({
          ...common,
          amount: i128(amount),
          receiver: address(receiver),
          flags: struct({ ...settled, approved: no }),
        });
  });
  const { roles } = terms;
  return struct({
    engagement_id: text(terms.engagementId),
    title: text(terms.title),
    description: text(terms.description),
    roles: struct({
      approver: address(roles.approver),
      service_provider: address(roles.serviceProvider),
      platform: address(roles.platform),
      release_signer: address(roles.releaseSigner),
      dispute_resolver: address(roles.disputeResolver),
      ...(single ? { receiver: address(terms.receiver) } : {}),
    }),
    ...(single ? { amount: i128(terms.amount), flags: struct(settled) } : {}),
    platform_fee: u32(terms.platformFeeBps),
    milestones: xdr.ScVal.scvVec(milestones),
    trustline: struct({ address: address(assetContract) }),
    receiver_memo: u32(0),
  });
}

/**
 * What a resolution of an unsigned envelope shares out, stroops: the sum of its last argument. Null where it is no such
 * call; whose money it is and in which proportions is for comparing to say.
 */
export function sharedOut(envelope: string): bigint | null {
  const decoded = xdr.TransactionEnvelope.fromXdr(envelope, 'base64');
  const body = decoded.type === 'envelopeTypeTx' ? decoded.v1.tx.operations[0]?.body : undefined;
  if (body?.type !== 'invokeHostFunction') return null;
  const { hostFunction } = body.invokeHostFunctionOp;
  if (hostFunction.type !== 'hostFunctionTypeInvokeContract') return null;
  const last = hostFunction.invokeContract.args.at(-1);
  if (last?.type !== 'scvMap') return null;
  const amounts = (last.map ?? []).map(({ val }): unknown => scValToNative(val));
  return amounts.reduce<bigint>((sum, amount) => (typeof amount === 'bigint' ? sum + amount : sum), 0n);
}

export type InvocationContext = ContractFacts & {
  /** Stellar Asset Contract of the settlement asset, for a deploy */
  readonly assetContract: string | null;
  /** base64 ScVal of the stored escrow, for `fund` */
  readonly escrowState: string | null;
  /** 32 bytes that make a deploy unique; unused by every other call */
  readonly salt: Uint8Array | null;
};

/** Function name and arguments; `salt` decides a deploy's contract id. */
function nameAndArguments(call: EscrowCall, context: InvocationContext): [name: string, args: xdr.ScVal[]] {
  const source = address(call.source);
  // Calls that pay out name the protocol's wallet on the testnet line; on the mainnet line it is compiled in.
  const fee = context.feeWalletArgument === null ? [] : [address(context.feeWalletArgument)];
  switch (call.fn) {
    case 'deploy': {
      const { factory, salt: bytes, assetContract } = context;
      if (bytes === null || assetContract === null) throw new TypeError('a deploy needs a salt and an asset');
      const name =
        call.terms.type === 'SINGLE_RELEASE' ? 'tw_new_single_release_escrow' : 'tw_new_multi_release_escrow';
      const wasmHash = xdr.ScVal.scvBytes(new Uint8Array(Buffer.from(factory.wasmHash, 'hex')));
      const init = xdr.ScVal.scvVec([initialEscrow(call.terms, assetContract)]);
      const salt = xdr.ScVal.scvBytes(bytes);
      return [name, [source, wasmHash, salt, symbol('initialize_escrow'), init, xdr.ScVal.scvVec([])]];
    }
    case 'fund': {
      if (context.escrowState === null) throw new TypeError('funding needs the stored escrow');
      return ['fund_escrow', [source, xdr.ScVal.fromXdr(context.escrowState, 'base64'), i128(call.amount)]];
    }
    case 'change_milestone_status': {
      const change = { index: u32(call.milestoneIndex), status: text(call.status), evidence: text(call.evidence) };
      const args =
        call.type === 'MULTI_RELEASE'
          ? [xdr.ScVal.scvVec([struct(change)])]
          : [change.index, change.status, change.evidence];
      return ['change_milestone_status', [...args, source]];
    }
    case 'approve_milestone':
      return ['approve_milestone', [u32(call.milestoneIndex), source]];
    case 'release':
      if (call.milestoneIndex === null) return ['release_funds', [source, ...fee]];
      return ['release_milestone_funds', [source, ...fee, u32(call.milestoneIndex)]];
    case 'dispute':
      if (call.milestoneIndex === null) return ['dispute_escrow', [source]];
      return ['dispute_milestone', [u32(call.milestoneIndex), source]];
    case 'resolve_dispute': {
      const shared = shares(call.distributions);
      if (call.milestoneIndex === null) return ['resolve_dispute', [source, ...fee, shared]];
      return ['resolve_milestone_dispute', [source, u32(call.milestoneIndex), ...fee, shared]];
    }
    case 'withdraw_remaining_funds':
      return ['withdraw_remaining_funds', [source, ...fee, shares(call.distributions)]];
  }
}

/** The exact contract invocation of a call. @throws TypeError when the context lacks what the call needs */
export function expectedInvocation(call: EscrowCall, context: InvocationContext): xdr.InvokeContractArgs {
  const [functionName, args] = nameAndArguments(call, context);
  const target = call.fn === 'deploy' ? context.factory.contractId : call.contractId;
  return new xdr.InvokeContractArgs({ contractAddress: new Address(target).toScAddress(), functionName, args });
}

/**
 * The only authorisation a call may carry: the source account's, for exactly this invocation. Funding alone moves money
 * of its caller, so it alone has a sub-invocation: the token transfer into the contract.
 */
export function expectedAuth(
  call: EscrowCall,
  invocation: xdr.InvokeContractArgs,
  assetContract: string,
): xdr.SorobanAuthorizationEntry {
  const node = (
    args: xdr.InvokeContractArgs,
    below: xdr.SorobanAuthorizedInvocation[],
  ): xdr.SorobanAuthorizedInvocation =>
    new xdr.SorobanAuthorizedInvocation({
      function: xdr.SorobanAuthorizedFunction.sorobanAuthorizedFunctionTypeContractFn(args),
      subInvocations: below,
    });
  const transfers =
    call.fn === 'fund'
      ? [
          new xdr.InvokeContractArgs({
            contractAddress: new Address(assetContract).toScAddress(),
            functionName: 'transfer',
            args: [address(call.source), address(call.contractId), i128(call.amount)],
          }),
        ]
      : [];
  return new xdr.SorobanAuthorizationEntry({
    credentials: xdr.SorobanCredentials.sorobanCredentialsSourceAccount(),
    rootInvocation: node(
      invocation,
      transfers.map((transfer) => node(transfer, [])),
    ),
  });
}

/** The contract id that `deployer` (the factory) creates from `salt` on this network, known before anything is signed. */
export function deriveContractId(deployer: string, salt: Uint8Array, networkPassphrase: string): string {
  const preimage = xdr.HashIdPreimage.envelopeTypeContractId(
    new xdr.HashIdPreimageContractId({
      networkId: sha256(Buffer.from(networkPassphrase, 'utf8')),
      contractIdPreimage: xdr.ContractIdPreimage.contractIdPreimageFromAddress(
        new xdr.ContractIdPreimageFromAddress({ address: new Address(deployer).toScAddress(), salt }),
      ),
    }),
  );
  return StrKey.encodeContract(sha256(preimage.toXdr()));
}

const sha256 = (bytes: Uint8Array): Uint8Array => new Uint8Array(createHash('sha256').update(bytes).digest());

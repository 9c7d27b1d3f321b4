/**
 * Authorisation of contract calls. Recording collects the trees of invocations that each address must allow;
 * enforcing demands every call of `require_auth` in one of the given trees, each node used once.
 */
import { createHash, createPublicKey, verify } from 'node:crypto';
import { Address, StrKey, xdr } from '@stellar/stellar-sdk/base';
import type { LedgerView } from '../core/types.ts';
import { hostError } from './errors.ts';
import { symbol } from './scval.ts';

/** What the authoriser needs to know of a running call. */
interface AuthFrame {
  readonly contract: string;
  readonly fn: string;
  readonly args: readonly xdr.ScVal[];
  readonly parent: AuthFrame | null;
}

export interface Authorizer {
  /** Demands the address's consent to this call. @throws HostError(Auth, …) */
  require(address: string, frame: AuthFrame): void;
  /** Entries recorded, or those that were given. */
  entries(): xdr.SorobanAuthorizationEntry[];
}

const sha256 = (data: Uint8Array): Buffer => createHash('sha256').update(data).digest();

/** Id of the network, the first field of everything that is signed. */
export const networkId = (passphrase: string): Buffer => createHash('sha256').update(passphrase).digest();

const contractFn = (frame: AuthFrame): xdr.SorobanAuthorizedFunction =>
  xdr.SorobanAuthorizedFunction.sorobanAuthorizedFunctionTypeContractFn(
    new xdr.InvokeContractArgs({
      contractAddress: new Address(frame.contract).toScAddress(),
      functionName: frame.fn,
      args: [...frame.args],
    }),
  );

/** A contract consents to what it calls itself. */
const callsItself = (address: string, frame: AuthFrame): boolean => frame.parent?.contract === address;

interface Node {
  readonly frame: AuthFrame;
  readonly children: Node[];
}

const invocation = (node: Node): xdr.SorobanAuthorizedInvocation =>
  new xdr.SorobanAuthorizedInvocation({
    function: contractFn(node.frame),
    subInvocations: node.children.map(invocation),
  });

/** The entry of temporary storage that makes an address's signature valid only once. */
function putNonce(view: LedgerView, address: string, nonce: bigint, until: number): void {
  const key = xdr.ScVal.scvLedgerKeyNonce(new xdr.ScNonceKey({ nonce })).toXdr('base64');
  if (view.contractData(address, key) !== undefined) throw hostError('Auth', 'ExistingValue');
  const value = xdr.ScVal.scvVoid().toXdr('base64');
  view.putContractData({
    contract: address,
    key,
    durability: 'temporary',
    value,
    liveUntil: until,
    lastModified: view.sequence,
  });
}

/** Touches what checking an address's signature will need, so that it is in the footprint. */
function reserveSignature(view: LedgerView, address: string, nonce: bigint): void {
  putNonce(view, address, nonce, view.sequence);
  if (StrKey.isValidEd25519PublicKey(address)) view.account(address);
}

/** Records what each address has to allow; entries other than the source's carry no signature yet. */
export function recordingAuthorizer(view: LedgerView, source: string, kind: 'address' | 'addressV2'): Authorizer {
  const roots: { address: string; node: Node; nonce: bigint }[] = [];
  const known = new Map<AuthFrame, Map<string, Node>>();

  const nearest = (address: string, frame: AuthFrame | null): Node | undefined =>
    frame === null ? undefined : (known.get(frame)?.get(address) ?? nearest(address, frame.parent));

  const credentials = (address: string, nonce: bigint): xdr.SorobanCredentials => {
    if (address === source) return xdr.SorobanCredentials.sorobanCredentialsSourceAccount();
    const content = new xdr.SorobanAddressCredentials({
      address: new Address(address).toScAddress(),
      nonce,
      signatureExpirationLedger: 0,
      signature: xdr.ScVal.scvVoid(),
    });
    return kind === 'address'
      ? xdr.SorobanCredentials.sorobanCredentialsAddress(content)
      : xdr.SorobanCredentials.sorobanCredentialsAddressV2(content);
  };

  return {
    require(address, frame) {
      if (callsItself(address, frame) || known.get(frame)?.has(address) === true) return;
      const node: Node = { frame, children: [] };
      const above = nearest(address, frame.parent);
      if (above !== undefined) above.children.push(node);
      else if (frame.parent !== null) throw hostError('Auth', 'InvalidAction');
      else {
        // not secret, only unique: the same simulation on the same ledger gives the same entry
        const seed = sha256(Buffer.concat([Buffer.from(`${address}|${view.sequence}|`), contractFn(frame).toXdr()]));
        const nonce = seed.readBigInt64BE();
        if (address !== source) reserveSignature(view, address, nonce);
        roots.push({ address, node, nonce });
      }
      const nodes = known.get(frame) ?? new Map<string, Node>();
      known.set(frame, nodes.set(address, node));
    },
    entries: () =>
      roots.map(
        ({ address, node, nonce }) =>
          new xdr.SorobanAuthorizationEntry({
            credentials: credentials(address, nonce),
            rootInvocation: invocation(node),
          }),
      ),
  };
}

interface Tracker {
  readonly address: string;
  readonly entry: xdr.SorobanAuthorizationEntry;
  /** node of the tree that each running frame was matched with */
  readonly matched: Map<AuthFrame, xdr.SorobanAuthorizedInvocation>;
  readonly used: Set<xdr.SorobanAuthorizedInvocation>;
}

function trackerOf(entry: xdr.SorobanAuthorizationEntry, source: string): Tracker {
  const { credentials } = entry;
  const address =
    credentials.type === 'sorobanCredentialsSourceAccount'
      ? source
      : credentials.type === 'sorobanCredentialsAddressWithDelegates'
        ? ''
        : Address.fromScAddress(credentials.value.address).toString();
  return { address, entry, matched: new Map(), used: new Set() };
}

/** Accepts only what the given entries allow. Signatures are checked when an entry is first used. */
export function enforcingAuthorizer(
  view: LedgerView,
  source: string,
  given: readonly xdr.SorobanAuthorizationEntry[],
): Authorizer {
  const trackers = given.map((entry) => trackerOf(entry, source));

  /** Where in the tracker's tree the call has to be; undefined when the tree has no place left for it. */
  const candidates = (tracker: Tracker, frame: AuthFrame): readonly xdr.SorobanAuthorizedInvocation[] => {
    for (let above = frame.parent; above !== null; above = above.parent) {
      const node = tracker.matched.get(above);
      if (node !== undefined) return node.subInvocations;
    }
    return tracker.used.size === 0 ? [tracker.entry.rootInvocation] : [];
  };

  return {
    require(address, frame) {
      if (callsItself(address, frame)) return;
      const wanted = contractFn(frame).toXdr('base64');
      for (const tracker of trackers.filter((one) => one.address === address)) {
        if (tracker.matched.has(frame)) return;
        const node = candidates(tracker, frame).find(
          (one) => !tracker.used.has(one) && one.function.toXdr('base64') === wanted,
        );
        if (node === undefined) continue;
        if (tracker.used.size === 0) assertSigned(view, tracker.entry);
        tracker.used.add(node);
        tracker.matched.set(frame, node);
        return;
      }
      throw hostError('Auth', 'InvalidAction');
    },
    entries: () => [...given],
  };
}

/** What the holder of address credentials signs. */
function signedHash(
  view: LedgerView,
  entry: xdr.SorobanAuthorizationEntry,
  content: xdr.SorobanAddressCredentials,
): Buffer {
  const fields = {
    networkId: networkId(view.networkPassphrase),
    nonce: content.nonce,
    signatureExpirationLedger: content.signatureExpirationLedger,
    invocation: entry.rootInvocation,
  };
  const preimage =
    entry.credentials.type === 'sorobanCredentialsAddressV2'
      ? xdr.HashIdPreimage.envelopeTypeSorobanAuthorizationWithAddress(
          new xdr.HashIdPreimageSorobanAuthorizationWithAddress({ ...fields, address: content.address }),
        )
      : xdr.HashIdPreimage.envelopeTypeSorobanAuthorization(new xdr.HashIdPreimageSorobanAuthorization(fields));
  return sha256(preimage.toXdr());
}

/** Address credentials: unused nonce, not expired, and signatures that reach the account's medium threshold. */
function assertSigned(view: LedgerView, entry: xdr.SorobanAuthorizationEntry): void {
  const { credentials } = entry;
  if (credentials.type === 'sorobanCredentialsSourceAccount') return;
  if (credentials.type === 'sorobanCredentialsAddressWithDelegates') throw hostError('Auth', 'InvalidAction');
  const content = credentials.value;
  if (content.signatureExpirationLedger < view.sequence) throw hostError('Auth', 'InvalidInput');
  const address = Address.fromScAddress(content.address).toString();
  putNonce(view, address, content.nonce, content.signatureExpirationLedger);
  // a contract address is judged by code of its own, and the sandbox has no such contract
  const account = StrKey.isValidEd25519PublicKey(address) ? view.account(address) : undefined;
  if (account === undefined) throw hostError('Auth', 'InvalidAction');
  const weights = new Map(account.signers.map(({ key, weight }) => [key, weight]));
  weights.set(address, account.thresholds.master);
  const hash = signedHash(view, entry, content);
  const signers = signaturesOf(content.signature).map(({ publicKey, signature }) => {
    if (!verifies(publicKey, hash, signature)) throw hostError('Auth', 'InvalidAction');
    return StrKey.encodeEd25519PublicKey(publicKey);
  });
  const weight = [...new Set(signers)].reduce((sum, signer) => sum + (weights.get(signer) ?? 0), 0);
  if (signers.length === 0 || signers.some((signer) => (weights.get(signer) ?? 0) === 0))
    throw hostError('Auth', 'InvalidAction');
  if (weight < account.thresholds.med) throw hostError('Auth', 'InvalidAction');
}

/** A classic account signs with a vec of maps {public_key, signature}. */
function signaturesOf(value: xdr.ScVal): { publicKey: Buffer; signature: Buffer }[] {
  if (value.type !== 'scvVec') throw hostError('Auth', 'InvalidAction');
  return (value.vec ?? []).map((item) => {
    const fields = new Map<string, Buffer>();
    for (const entry of item.type === 'scvMap' ? (item.map ?? []) : []) {
      if (entry.val.type === 'scvBytes') fields.set(symbol.decode(entry.key), Buffer.from(entry.val.bytes.value));
    }
    const publicKey = fields.get('public_key');
    const signature = fields.get('signature');
    if (publicKey?.length !== 32 || signature?.length !== 64) throw hostError('Auth', 'InvalidAction');
    return { publicKey, signature };
  });
}

const SPKI_ED25519 = Buffer.from('302a300506032b6570032100', 'hex');

function verifies(publicKey: Buffer, hash: Buffer, signature: Buffer): boolean {
  const der = Buffer.concat([SPKI_ED25519, publicKey]);
  return verify(null, hash, createPublicKey({ key: der, format: 'der', type: 'spki' }), signature);
}

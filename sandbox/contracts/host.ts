/**
 * The Soroban host for the modelled contracts: call frames, storage with lifetimes, events, authorisation, deployment.
 *
 * Nothing is undone here. A failure aborts the whole transaction, so the caller hands in a fork and drops it.
 */
import { Buffer } from 'node:buffer';
import { createHash } from 'node:crypto';
import { Address, StrKey, xdr } from '@stellar/stellar-sdk/base';
import type { EmittedEvent, InvokeHostFunction, InvokeOutcome, LedgerView } from '../core/types.ts';
import { type Authorizer, enforcingAuthorizer, networkId, recordingAuthorizer } from './auth.ts';
import type { Env, Program, Storage } from './env.ts';
import { HostError, hostError, rawError } from './errors.ts';
import { ESCROW_KEY } from './escrow.ts';
import { createHostLog, type HostLog } from './events.ts';
import { sacProgram } from './sac.ts';
import { address as addressCodec, assertHostValue } from './scval.ts';
import { programOf } from './wasm.ts';

/** Shortest life of a persistent entry and longest life of any entry, in ledgers beyond the current one. */
const MIN_TTL = 2_073_599;
const MAX_TTL = 3_110_399;
const U32_MAX = 0xffff_ffff;

/** Storage key of a contract's instance. */
export const INSTANCE_KEY = xdr.ScVal.scvLedgerKeyContractInstance().toXdr('base64');

interface Frame {
  readonly contract: string;
  readonly fn: string;
  readonly args: readonly xdr.ScVal[];
  readonly parent: Frame | null;
}

interface Run {
  readonly view: LedgerView;
  readonly authorizer: Authorizer;
  readonly events: EmittedEvent[];
  readonly log: HostLog;
  readonly code: Set<string>;
  /** contracts that this run created */
  readonly deployed: Set<string>;
}

/** Reads persistent data; an archived entry is restored first, as the network does for entries in the footprint. */
function readData(view: LedgerView, contract: string, key: string): xdr.ScVal | undefined {
  const entry = view.contractData(contract, key);
  if (entry === undefined) return undefined;
  if (entry.liveUntil < view.sequence) view.putContractData({ ...entry, liveUntil: view.sequence + MIN_TTL });
  return xdr.ScVal.fromXdr(entry.value, 'base64');
}

/** Writes persistent data, keeping the life of an entry that exists. */
function writeData(view: LedgerView, contract: string, key: string, value: xdr.ScVal): void {
  const liveUntil = view.contractData(contract, key)?.liveUntil ?? view.sequence + MIN_TTL;
  view.putContractData({
    contract,
    key,
    durability: 'persistent',
    value: value.toXdr('base64'),
    liveUntil: Math.max(liveUntil, view.sequence),
    lastModified: view.sequence,
  });
}

function storageOf(view: LedgerView, contract: string): Storage {
  return {
    get: (key) => readData(view, contract, key),
    set: (key, value) => writeData(view, contract, key, value),
    extendTtl(key, threshold, to) {
      if (to < threshold) throw hostError('Storage', 'InvalidInput');
      if (view.sequence + to > U32_MAX) throw hostError('Context', 'InternalError');
      const entry = view.contractData(contract, key);
      if (entry === undefined) throw hostError('Storage', 'MissingValue');
      if (entry.liveUntil - view.sequence > threshold) return;
      const liveUntil = Math.max(entry.liveUntil, view.sequence + Math.min(to, MAX_TTL));
      view.putContractData({ ...entry, liveUntil });
    },
  };
}

/** Id of the contract that `preimage` creates on this network. */
function contractIdOf(passphrase: string, preimage: xdr.ContractIdPreimage): string {
  const full = xdr.HashIdPreimage.envelopeTypeContractId(
    new xdr.HashIdPreimageContractId({ networkId: networkId(passphrase), contractIdPreimage: preimage }),
  );
  return StrKey.encodeContract(createHash('sha256').update(full.toXdr()).digest());
}

/** Id of the contract that `deployer` creates with `salt`. */
export function deployedId(passphrase: string, deployer: string, salt: Uint8Array): string {
  const from = new xdr.ContractIdPreimageFromAddress({ address: new Address(deployer).toScAddress(), salt });
  return contractIdOf(passphrase, xdr.ContractIdPreimage.contractIdPreimageFromAddress(from));
}

/** Writes a contract's instance entry. @throws HostError(Storage, ExistingValue) when the address is taken */
export function createInstance(view: LedgerView, contract: string, executable: xdr.ContractExecutable): void {
  if (view.contractData(contract, INSTANCE_KEY) !== undefined) throw hostError('Storage', 'ExistingValue');
  const instance = new xdr.ScContractInstance({ executable, storage: null });
  writeData(view, contract, INSTANCE_KEY, xdr.ScVal.scvContractInstance(instance));
}

function loadProgram(run: Run, contract: string): { program: Program; native: boolean } {
  const instance = readData(run.view, contract, INSTANCE_KEY);
  const asset = run.view.assetOfContract(contract);
  if (asset !== undefined) return { program: sacProgram(asset), native: true };
  if (instance?.type !== 'scvContractInstance') throw hostError('Storage', 'MissingValue');
  const { executable } = instance.instance;
  const hash =
    executable.type === 'contractExecutableWasm' ? Buffer.from(executable.wasmHash.value).toString('hex') : '';
  const program = programOf(hash);
  if (program === undefined) throw hostError('Storage', 'MissingValue');
  run.code.add(hash);
  return { program, native: false };
}

function invoke(run: Run, parent: Frame | null, contract: string, fn: string, args: readonly xdr.ScVal[]): xdr.ScVal {
  const frame: Frame = { contract, fn, args, parent };
  if (!StrKey.isValidContract(contract)) throw hostError('Object', 'InvalidInput');
  run.log.call(parent?.contract ?? null, contract, fn, args);
  for (let above = parent; above !== null; above = above.parent) {
    if (above.contract === contract) throw hostError('Context', 'InvalidAction');
  }
  try {
    const { program, native } = loadProgram(run, contract);
    const target = Object.hasOwn(program, fn) ? program[fn] : undefined;
    if (target === undefined) throw native ? hostError('Value', 'InvalidInput') : hostError('WasmVm', 'MissingValue');
    if (args.length !== target.arity) throw hostError(native ? 'Value' : 'WasmVm', 'UnexpectedSize');
    const result = target.run(envOf(run, frame), args);
    run.log.returned(contract, fn, result);
    return result;
  } catch (error) {
    if (error instanceof HostError && error.contract === null) {
      error.contract = contract;
      run.log.failed(error);
    }
    throw error;
  }
}

function envOf(run: Run, frame: Frame): Env {
  return {
    self: frame.contract,
    view: run.view,
    storage: storageOf(run.view, frame.contract),
    requireAuth: (address) => run.authorizer.require(address, frame),
    call: (contract, fn, args) => invoke(run, frame, contract, fn, args),
    emit(topics, data) {
      const event = { contract: frame.contract, topics, data };
      run.events.push(event);
      run.log.event(event);
    },
    deploy(wasmHash, salt, constructorArgs) {
      const id = deployedId(run.view.networkPassphrase, frame.contract, salt);
      if (run.view.contractData(id, INSTANCE_KEY) !== undefined) throw hostError('Storage', 'ExistingValue');
      const hash = Buffer.from(wasmHash).toString('hex');
      if (programOf(hash) === undefined) throw hostError('Storage', 'MissingValue');
      run.code.add(hash);
      createInstance(run.view, id, xdr.ContractExecutable.contractExecutableWasm(wasmHash));
      run.deployed.add(id);
      // every modelled build has a constructor without arguments
      run.log.call(frame.contract, id, '__constructor', constructorArgs);
      if (constructorArgs.length > 0) throw hostError('Context', 'InvalidAction');
      run.log.returned(id, '__constructor', xdr.ScVal.scvVoid());
      return id;
    },
  };
}

/** Puts an asset's contract on the ledger under its derived id. */
function createAssetContract(
  run: Run,
  preimage: xdr.ContractIdPreimage,
  executable: xdr.ContractExecutable,
): xdr.ScVal {
  const supported =
    preimage.type === 'contractIdPreimageFromAsset' && executable.type === 'contractExecutableStellarAsset';
  if (!supported) throw hostError('WasmVm', 'InvalidAction');
  const id = contractIdOf(run.view.networkPassphrase, preimage);
  createInstance(run.view, id, executable);
  return addressCodec.encode(id);
}

/** Any other host function is refused: the sandbox models contracts, it does not run WASM. */
function execute(run: Run, hostFunction: xdr.HostFunction): xdr.ScVal {
  switch (hostFunction.type) {
    case 'hostFunctionTypeInvokeContract': {
      const { contractAddress, functionName, args } = hostFunction.invokeContract;
      args.forEach(assertHostValue);
      return invoke(run, null, Address.fromScAddress(contractAddress).toString(), functionName.toString(), args);
    }
    case 'hostFunctionTypeCreateContract':
      return createAssetContract(run, hostFunction.value.contractIdPreimage, hostFunction.value.executable);
    default:
      throw hostError('WasmVm', 'InvalidAction');
  }
}

/**
 * Which kind of contract failed: for people; callers that must be sure compare the address. A factory is the same code
 * as an escrow, without an escrow of its own.
 */
function roleOf({ view, deployed }: Run, contract: string | null): string {
  if (contract === null) return 'host';
  if (view.assetOfContract(contract) !== undefined) return 'sac';
  if (view.contractData(contract, INSTANCE_KEY) === undefined) return 'host';
  return deployed.has(contract) || view.contractData(contract, ESCROW_KEY) !== undefined ? 'escrow' : 'factory';
}

/**
 * Executes one host function on `view` and leaves its changes there; on failure the view is spoilt and must be dropped.
 * Never throws for anything a transaction can contain.
 */
export const invokeHostFunction: InvokeHostFunction = (view, call): InvokeOutcome => {
  const authorizer =
    call.mode === 'record'
      ? recordingAuthorizer(view, call.source, call.credentials ?? 'addressV2')
      : enforcingAuthorizer(view, call.source, call.auth);
  const run: Run = { view, authorizer, events: [], log: createHostLog(), code: new Set(), deployed: new Set() };
  try {
    const result = execute(run, call.hostFunction);
    const diagnostics = run.log.entries(true);
    return { ok: true, result, events: run.events, auth: authorizer.entries(), diagnostics, code: [...run.code] };
  } catch (error) {
    if (!(error instanceof HostError)) throw error;
    const { failure, contract } = error;
    return {
      ok: false,
      at: roleOf(run, contract),
      code: failure.type === 'Contract' ? failure.code : null,
      name: failure.type === 'Contract' ? failure.name : null,
      raw: rawError(failure),
      contract,
      events: run.log.emitted(),
      diagnostics: run.log.entries(false),
    };
  }
};

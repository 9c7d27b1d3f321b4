/**
 * Which escrow contracts we deal with. How a contract is called, and whether it is called at all, follows from the code
 * that the chain says it runs, never from what an API answers.
 */
import type { EscrowCall, EscrowType } from '../../domain/chain.ts';
import type { ChainRpc } from '../chain/port.ts';
import { ProviderError } from '../errors.ts';

/** One accepted build of the contract; codes, behaviour and argument lists differ between builds. */
export interface ContractBuild {
  readonly type: EscrowType;
  /** hex */
  readonly wasmHash: string;
  /** whether calls that pay out name the protocol's fee wallet (testnet line), or have it compiled in (mainnet line) */
  readonly feeWalletIsArgument: boolean;
}

/** What of the contract's side a call is made with. */
export interface ContractFacts {
  /** pinned factory and the code (hex) it deploys, for the escrow's type */
  readonly factory: { readonly contractId: string; readonly wasmHash: string };
  /** fee wallet as the contract wants it: an argument, or null where it takes none */
  readonly feeWalletArgument: string | null;
}

/** A contract that must not be called: foreign code, or a factory that can no longer deploy. Asking again cannot help. */
export class ContractRefused extends Error {
  override readonly name = 'ContractRefused';
  readonly difference: { readonly field: string; readonly expected: string; readonly actual: string };

  constructor(message: string, difference: ContractRefused['difference']) {
    super(message);
    this.difference = difference;
  }
}

/** Contracts remembered as accepted; a look costs one request. */
const REMEMBERED = 10_000;

/**
 * Answers what a call is made with, after looking at the contract on chain.
 *
 * - A deploy: a factory that a stranger initialised as an escrow (that needs no authorisation) refuses every deploy
 *   from then on; so it is looked at each time.
 * - Any other call: the contract's code must be an accepted build of the escrow's type. None of these can replace its
 *   own code, so one look per contract is enough.
 *
 * @throws ContractRefused; ProviderError, `REFUSED` while the chain knows no such contract
 */
export type ContractBook = (call: EscrowCall) => Promise<ContractFacts>;

export function createContractBook(deps: {
  readonly rpc: Pick<ChainRpc, 'contractCode' | 'escrowState'>;
  readonly factories: Readonly<Record<EscrowType, ContractFacts['factory']>>;
  readonly builds: readonly ContractBuild[];
  readonly feeWallet: string;
}): ContractBook {
  const { rpc, factories, builds, feeWallet } = deps;
  const accepted = new Map<string, ContractBuild>();

  const buildOf = async (contractId: string, type: EscrowType): Promise<ContractBuild> => {
    const known = accepted.get(contractId);
    if (known?.type === type) return known;
    const { value: hash } = await rpc.contractCode(contractId);
    if (hash === null) throw new ProviderError('REFUSED', 'rpc', `${contractId} is not a contract on this network`);
    const build = builds.find((candidate) => candidate.type === type && candidate.wasmHash === hash);
    if (build === undefined) {
      const hashes = builds.filter((candidate) => candidate.type === type).map(({ wasmHash }) => wasmHash);
      throw new ContractRefused(`${contractId} runs code that is not accepted`, {
        field: 'contract code',
        expected: hashes.join(' or '),
        actual: hash,
      });
    }
    if (accepted.size >= REMEMBERED) accepted.clear();
    accepted.set(contractId, build);
    return build;
  };

  return async (call) => {
    if (call.fn === 'deploy') {
      const factory = factories[call.terms.type];
      if ((await rpc.escrowState(factory.contractId)).value === null) return { factory, feeWalletArgument: null };
      throw new ContractRefused(`the factory ${factory.contractId} was initialised by a stranger: it cannot deploy`, {
        field: 'factory',
        expected: 'no escrow of its own',
        actual: 'an escrow in its storage',
      });
    }
    const { feeWalletIsArgument } = await buildOf(call.contractId, call.type);
    return { factory: factories[call.type], feeWalletArgument: feeWalletIsArgument ? feeWallet : null };
  };
}

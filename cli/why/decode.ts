/** Errors in words: which contract raised which code, and what a transaction's result says. */
import { xdr } from '@stellar/stellar-sdk/base';
import { MULTI_ERRORS, SAC_ERRORS, SINGLE_ERRORS } from '../../sandbox/contracts/errors.ts';

/** A contract that may have raised a code, and whose numbers it counts in. */
export interface KnownContract {
  readonly id: string;
  readonly type: 'SINGLE_RELEASE' | 'MULTI_RELEASE' | 'ASSET';
}

const TABLES = { SINGLE_RELEASE: SINGLE_ERRORS, MULTI_RELEASE: MULTI_ERRORS, ASSET: SAC_ERRORS } as const;
const WORDS = { SINGLE_RELEASE: 'the escrow', MULTI_RELEASE: 'the escrow', ASSET: 'the asset contract' } as const;
/** A line of the host's event log; it is printed newest first, so the last one is where the error began. */
const RAISED = /contract:(C[A-Z2-7]{55}), topics:\[error, Error\(Contract, #(\d+)\)/g;
const CODE = /Error\(Contract, #(\d+)\)/;
const HOST = /Error\(([A-Z]\w+), ([A-Z]\w+)\)/;

/** In words; null when the text names no error of a contract or of the host. */
export function decodeError(text: string, contracts: readonly KnownContract[]): string | null {
  const [, raiser, raised] = [...text.matchAll(RAISED)].at(-1) ?? [];
  const code = raised ?? CODE.exec(text)?.[1];
  if (code === undefined) {
    const [, type, what] = HOST.exec(text) ?? [];
    return type === undefined ? null : `the host, not a contract: ${type} ${what}`;
  }
  if (raiser === undefined) return `a contract's error ${code}; the text does not say which contract raised it`;
  const contract = contracts.find(({ id }) => id === raiser);
  if (contract === undefined) return `${raiser}, which is not of this order, raised its error ${code}`;
  // Numbers belong to a build: the names are those of the current ones.
  const name = Object.entries(TABLES[contract.type]).find(([, number]) => String(number) === code)?.[0];
  return `${WORDS[contract.type]} ${raiser} raised its error ${code}${name === undefined ? '' : ` (${name})`}`;
}

/** A transaction's result, e.g. `txFailed: invokeHostFunctionTrapped`; null when it cannot be read. */
export function decodeResult(resultXdr: string): string | null {
  try {
    const outer = xdr.TransactionResult.fromXdr(resultXdr, 'base64').result;
    const inner =
      outer.type === 'txFeeBumpInnerFailed' || outer.type === 'txFeeBumpInnerSuccess'
        ? outer.innerResultPair.result.result
        : outer;
    const operations = 'results' in inner ? inner.results : [];
    const codes = operations.map((operation) =>
      operation.type === 'opInner' && operation.tr.type === 'invokeHostFunction'
        ? operation.tr.invokeHostFunctionResult.type
        : operation.type,
    );
    return codes.length === 0 ? inner.type : `${inner.type}: ${codes.join(', ')}`;
  } catch {
    return null;
  }
}

/** Whom a transaction concerns, as far as its envelope tells: for finding out what a transaction was about. */
import { Address, FeeBumpTransaction, StrKey, TransactionBuilder, scValToNative } from '@stellar/stellar-sdk/base';

/** Any passphrase: it decides about hashes, not about contents. */
const ANY_NETWORK = 'any';

/**
 * Who acts or receives (source accounts, destinations), which contracts are called, and the texts among a call's
 * arguments (an escrow's id, for one). Addresses among the arguments are left out: a deploy names half a marketplace.
 * Once each, in no order.
 */
export function namesIn(envelope: string): string[] {
  const decoded = TransactionBuilder.fromXdr(envelope, ANY_NETWORK);
  const { source, operations } = decoded instanceof FeeBumpTransaction ? decoded.innerTransaction : decoded;
  const names = new Set([source]);
  for (const operation of operations) {
    if (operation.source !== undefined) names.add(operation.source);
    if (operation.type !== 'invokeHostFunction') for (const text of textsIn(operation)) names.add(text);
    else if (operation.func.type === 'hostFunctionTypeInvokeContract') {
      const { contractAddress, args } = operation.func.invokeContract;
      names.add(Address.fromScAddress(contractAddress).toString());
      for (const text of textsIn(args.map((arg): unknown => scValToNative(arg)))) if (!isAddress(text)) names.add(text);
    }
  }
  return [...names];
}

const isAddress = (text: string): boolean => StrKey.isValidEd25519PublicKey(text) || StrKey.isValidContract(text);

function textsIn(value: unknown): string[] {
  if (typeof value === 'string') return [value];
  if (value instanceof Map) return textsIn([...value.values()]);
  if (Array.isArray(value)) return value.flatMap(textsIn);
  if (typeof value !== 'object' || value === null || value instanceof Uint8Array) return [];
  return Object.values(value).flatMap(textsIn);
}

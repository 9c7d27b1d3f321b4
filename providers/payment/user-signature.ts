/** A user's signature, taken from what his wallet handed in. Untrusted: only the signature itself is used. */
import { Keypair, Transaction, TransactionBuilder, xdr } from '@stellar/stellar-sdk/base';
import { type Refusal, refuseField } from '../../domain/refusal.ts';

const wrong = (code: string, detail: string): Refusal => refuseField('/signed_envelope', code, detail);

/** An envelope with one contract call and one signature is far below. */
const ENVELOPE_MAX = 65_536;

/**
 * Our envelope with the user's signature.
 * @param ours base64, as it was handed out
 * @param signed base64, as it came back: the same transaction, signed by `signer` and nobody else
 * @throws Refusal VALIDATION_ERROR
 */
export function withUserSignature(ours: string, signed: string, signer: string, passphrase: string): string {
  const expected = parsed(ours, passphrase);
  const actual = signed.length > ENVELOPE_MAX ? null : parsed(signed, passphrase);
  if (expected === null) throw new TypeError('what was handed out is no transaction');
  if (actual === null) throw wrong('ENVELOPE_FORMAT', 'not a transaction envelope in base64');
  const hash = expected.hash();
  if (Buffer.compare(hash, actual.hash()) !== 0)
    throw wrong(
      'OTHER_TRANSACTION',
      'it is not the transaction that was handed out, or it was signed for another network',
    );
  const [signature] = actual.signatures;
  if (signature === undefined || actual.signatures.length > 1)
    throw wrong('SIGNATURES', 'exactly one signature is expected');
  const key = Keypair.fromPublicKey(signer);
  const bytes = signature.signature.value;
  if (bytes.length !== 64 || !key.verify(hash, bytes))
    throw wrong('WRONG_SIGNATURE', `the signature is not that of ${signer}`);
  // The hint that came along may be anybody's: the network would look for another key.
  expected.addDecoratedSignature(new xdr.DecoratedSignature({ hint: key.signatureHint(), signature: bytes }));
  return expected.toXdr();
}

/** Null for whatever is not a plain transaction. */
function parsed(envelope: string, passphrase: string): Transaction | null {
  try {
    const transaction = TransactionBuilder.fromXdr(envelope, passphrase);
    return transaction instanceof Transaction ? transaction : null;
  } catch {
    return null;
  }
}

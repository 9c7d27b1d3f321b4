/** Requests that Stellar wallets open (SEP-7): what to pay, what to sign. */

/** SEP-7 wants percent encoding; `+` for a space is a form's habit. */
const uri = (verb: string, fields: Record<string, string>): string =>
  `web+stellar:${verb}?${new URLSearchParams(fields).toString().replaceAll('+', '%20')}`;

/** Outside the public network a request names its network. */
const networkOf = (passphrase: string | null): Record<string, string> =>
  passphrase === null ? {} : { network_passphrase: passphrase };

/** @param passphrase null on the public network */
export function paymentUri(
  destination: string,
  asset: { readonly code: string; readonly issuer: string },
  passphrase: string | null,
): string {
  return uri('pay', { destination, asset_code: asset.code, asset_issuer: asset.issuer, ...networkOf(passphrase) });
}

/**
 * @param envelope unsigned, base64
 * @param signer the account that has to sign
 */
export function signatureUri(envelope: string, signer: string, message: string, passphrase: string | null): string {
  return uri('tx', { xdr: envelope, pubkey: signer, msg: message, ...networkOf(passphrase) });
}

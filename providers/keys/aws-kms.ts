/**
 * A key-encryption key in AWS KMS: data keys travel there to be wrapped and unwrapped, the key itself never leaves it.
 * Credentials and endpoint come from where the AWS SDK looks for them (environment, role of the machine or pod).
 */
import type * as Kms from '@aws-sdk/client-kms';
import { ProviderError } from '../errors.ts';
import { KEY_BYTES } from './aes-gcm.ts';
import { type KeyEncryptionKey, VaultError } from './port.ts';

/** Of a whole exchange; a signing attempt has ten seconds. */
const TIMEOUT_MS = 3_000;
/** What says "these bytes are not what this key made in this context"; all else may pass or is the operator's to mend. */
const NOT_OURS = new Set(['InvalidCiphertextException', 'IncorrectKeyException']);

interface AwsKmsOptions {
  /** our name for it, as in the ciphertexts */
  readonly id: string;
  /** `arn:aws:kms:REGION:ACCOUNT:key/…` or `…:alias/…` */
  readonly arn: string;
}

export function createAwsKmsKey({ id, arn }: AwsKmsOptions): KeyEncryptionKey {
  const sending = { id, connected: connection(arn) };
  return {
    id,
    async wrap(dataKey, context) {
      const { CiphertextBlob } = await send(sending, ({ client: kms, EncryptCommand }) =>
        kms.send(new EncryptCommand({ KeyId: arn, Plaintext: dataKey, EncryptionContext: { ...context } })),
      );
      if (CiphertextBlob === undefined) throw new ProviderError('MALFORMED', 'aws-kms', 'Encrypt without ciphertext');
      return CiphertextBlob;
    },
    async unwrap(wrapped, context) {
      // The key is named although the bytes tell it: a ciphertext of another key of the account is refused.
      const { Plaintext } = await send(sending, ({ client: kms, DecryptCommand }) =>
        kms.send(new DecryptCommand({ KeyId: arn, CiphertextBlob: wrapped, EncryptionContext: { ...context } })),
      );
      if (Plaintext?.length !== KEY_BYTES)
        throw new ProviderError('MALFORMED', 'aws-kms', 'Decrypt without a data key');
      return Plaintext;
    },
  };
}

type Sdk = Pick<typeof Kms, 'DecryptCommand' | 'EncryptCommand'> & {
  readonly client: Kms.KMSClient;
};

/** Loaded by those who use it, and once: the client is large. */
function connection(arn: string): () => Promise<Sdk> {
  let sdk: Promise<Sdk> | undefined;
  const load = async (): Promise<Sdk> => {
    const { DecryptCommand, EncryptCommand, KMSClient: Client } = await import('@aws-sdk/client-kms');
    const requestHandler = { connectionTimeout: TIMEOUT_MS, requestTimeout: TIMEOUT_MS, throwOnRequestTimeout: true };
    const client = new Client({ region: arn.split(':')[3] ?? '', maxAttempts: 2, requestHandler });
    return { DecryptCommand, EncryptCommand, client };
  };
  return () => (sdk ??= load());
}

/** By the error's name, never by its text; the request is not carried along, it holds a data key. @throws VaultError, ProviderError */
async function send<T>(
  { id, connected }: { readonly id: string; readonly connected: () => Promise<Sdk> },
  work: (sdk: Sdk) => Promise<T>,
): Promise<T> {
  try {
    return await work(await connected());
  } catch (error) {
    const name = error instanceof Error ? error.name : 'Error';
    if (NOT_OURS.has(name)) throw new VaultError(`key ${id} does not open this ciphertext for this wallet`);
    throw new ProviderError('UNAVAILABLE', 'aws-kms', `key ${id}: ${name}`);
  }
}

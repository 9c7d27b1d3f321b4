/**
 * AWS KMS as its API reference describes it, on loopback: JSON 1.1 over POST, signed with Signature Version 4, symmetric
 * keys, encryption contexts. It keeps its keys to itself, as the real one does.
 */
import { createCipheriv, createDecipheriv, createHash, createHmac, randomBytes } from 'node:crypto';
import { createServer, type IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';

export const CREDENTIALS = { accessKeyId: 'AKIDEXAMPLE', secretAccessKey: 'loopback-secret' };

export interface Kms {
  readonly url: string;
  /** key ids in the order of the calls, as `Encrypt arn:…` */
  readonly calls: readonly string[];
  /** The next calls answer with this error, or not at all; null ends it. */
  fail(error: { readonly status: number; readonly type: string } | 'silence' | null): void;
  close(): Promise<void>;
}

type Request = {
  readonly KeyId: string;
  readonly Plaintext?: string;
  readonly CiphertextBlob?: string;
  readonly EncryptionContext?: Readonly<Record<string, string>>;
};

class KmsError extends Error {
  readonly type: string;
  readonly status: number;
  constructor(type: string, status = 400) {
    super(type);
    this.type = type;
    this.status = status;
  }
}

export async function startKms(arns: readonly string[]): Promise<Kms> {
  const keys = new Map(arns.map((arn) => [arn, randomBytes(32)]));
  const calls: string[] = [];
  let failure: Parameters<Kms['fail']>[0] = null;

  const answer = (request: IncomingMessage, body: string): object => {
    if (failure !== null && failure !== 'silence') throw new KmsError(failure.type, failure.status);
    if (request.headers['content-type'] !== 'application/x-amz-json-1.1') throw new KmsError('SerializationException');
    if (!isSigned(request, body)) throw new KmsError('InvalidSignatureException', 403);
    const input = JSON.parse(body) as Request;
    const [, action] = /^TrentService\.(Encrypt|Decrypt)$/.exec(String(request.headers['x-amz-target'])) ?? [];
    calls.push(`${action} ${input.KeyId}`);
    const key = keys.get(input.KeyId);
    if (key === undefined) throw new KmsError('NotFoundException');
    const common = { KeyId: input.KeyId, EncryptionAlgorithm: 'SYMMETRIC_DEFAULT' };
    if (action === 'Encrypt') return { ...common, CiphertextBlob: encrypt(input.KeyId, key, input) };
    if (action === 'Decrypt') return { ...common, Plaintext: decrypt(input.KeyId, key, input) };
    throw new KmsError('UnknownOperationException');
  };

  const server = createServer((request, response) => {
    let body = '';
    request.on('data', (chunk: Buffer) => (body += chunk.toString()));
    request.on('end', () => {
      if (failure === 'silence') return;
      let status = 200;
      let result: object;
      try {
        result = answer(request, body);
      } catch (error) {
        if (!(error instanceof KmsError)) throw error;
        status = error.status;
        result = { __type: error.type, message: error.type };
      }
      response.writeHead(status, { 'content-type': 'application/x-amz-json-1.1', 'x-amzn-requestid': 'loopback' });
      response.end(JSON.stringify(result));
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    calls,
    fail: (error) => {
      failure = error;
    },
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

/** The order of the pairs does not matter to KMS; their names and values do. */
const contextOf = ({ EncryptionContext = {} }: Request): Buffer =>
  Buffer.from(JSON.stringify(Object.entries(EncryptionContext).toSorted(([a], [b]) => (a < b ? -1 : 1))));

function encrypt(arn: string, key: Buffer, request: Request): string {
  const iv = randomBytes(12);
  const cipher = createCipheriv('aes-256-gcm', key, iv).setAAD(contextOf(request));
  const text = [cipher.update(Buffer.from(request.Plaintext ?? '', 'base64')), cipher.final()];
  const head = createHash('sha256').update(arn).digest();
  return Buffer.concat([head, iv, cipher.getAuthTag(), ...text]).toString('base64');
}

function decrypt(arn: string, key: Buffer, request: Request): string {
  const blob = Buffer.from(request.CiphertextBlob ?? '', 'base64');
  if (blob.length !== 32 + 12 + 16 + 32) throw new KmsError('InvalidCiphertextException');
  if (!blob.subarray(0, 32).equals(createHash('sha256').update(arn).digest()))
    throw new KmsError('IncorrectKeyException');
  const decipher = createDecipheriv('aes-256-gcm', key, blob.subarray(32, 44)).setAAD(contextOf(request));
  decipher.setAuthTag(blob.subarray(44, 60));
  try {
    return Buffer.concat([decipher.update(blob.subarray(60)), decipher.final()]).toString('base64');
  } catch {
    throw new KmsError('InvalidCiphertextException');
  }
}

/** Signature Version 4 over the request as it arrived. */
function isSigned(request: IncomingMessage, body: string): boolean {
  const pattern =
    /^AWS4-HMAC-SHA256 Credential=([^/]+)\/(\d{8})\/([^/]+)\/kms\/aws4_request, SignedHeaders=([^,]+), Signature=([0-9a-f]{64})$/;
  const [, id, day = '', region = '', names = '', signature] = pattern.exec(request.headers.authorization ?? '') ?? [];
  if (id !== CREDENTIALS.accessKeyId || !names.split(';').includes('x-amz-target')) return false;
  const sha256 = (text: string): string => createHash('sha256').update(text).digest('hex');
  const hmac = (key: string | Buffer, text: string): Buffer => createHmac('sha256', key).update(text).digest();
  const headers = names.split(';').map((name) => `${name}:${String(request.headers[name]).trim()}\n`);
  const canonical = [request.method, request.url, '', headers.join(''), names, sha256(body)].join('\n');
  const scope = `${day}/${region}/kms/aws4_request`;
  const toSign = ['AWS4-HMAC-SHA256', request.headers['x-amz-date'], scope, sha256(canonical)].join('\n');
  const key = [day, region, 'kms', 'aws4_request'].reduce<string | Buffer>(hmac, `AWS4${CREDENTIALS.secretAccessKey}`);
  return hmac(key, toSign).toString('hex') === signature;
}

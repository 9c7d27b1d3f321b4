/** What the outside services are called: in health, in attention, in logs. */
type EndpointKind = 'rpc' | 'horizon';

/**
 * One name per address of a list: kind and host, numbered where hosts repeat. Paths are left out: some providers put
 * keys there.
 */
export function endpointNames(kind: EndpointKind, urls: readonly string[]): string[] {
  const hosts = urls.map((url) => new URL(url).host);
  return hosts.map((host, index) => {
    const before = hosts.slice(0, index).filter((other) => other === host).length;
    return before === 0 ? `${kind} ${host}` : `${kind} ${host} #${before + 1}`;
  });
}

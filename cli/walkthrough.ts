/**
 * The first order in eight lines of curl, as data: `dev` prints them, the README shows them, a test runs exactly these.
 * They need a POSIX shell and curl; each line can be pasted as it is, in order.
 */
interface WalkthroughStep {
  readonly title: string;
  readonly command: string;
}

/** @param target.apiUrl ends in /api/v1 */
export function walkthrough(target: { readonly apiUrl: string; readonly apiKey: string }): WalkthroughStep[] {
  const call = (path: string, options = ''): string =>
    `curl -s ${target.apiUrl}${path} -H 'Authorization: Bearer ${target.apiKey}'${options}`;
  const json = (body: string): string => ` -H 'Content-Type: application/json' -d '${body}'`;
  // shows the answer and keeps the id for the lines that follow
  const keep = (variable: string, prefix: string, command: string): string =>
    `${variable}=$(${command} | tee /dev/stderr | grep -o '${prefix}_[0-9a-z]*' | head -n 1)`;
  const wait = ` -H 'Prefer: wait=60'`;
  const buyer = `'"$BUYER"'`;
  const seller = `'"$SELLER"'`;
  const order = `{"buyer_id":"${buyer}","seller_id":"${seller}","amount":"25","title":"Logo","auto":true}`;
  return [
    { title: 'a buyer', command: keep('BUYER', 'usr', call('/users', json('{"external_user_id":"buyer-1"}'))) },
    { title: 'a seller', command: keep('SELLER', 'usr', call('/users', json('{"external_user_id":"seller-1"}'))) },
    { title: 'the buyer pays in', command: call('/sandbox/deposits', json(`{"user_id":"${buyer}","amount":"100"}`)) },
    {
      title: 'an order, reserved, escrowed and funded by itself',
      command: keep('ORDER', 'ord', call('/orders', wait + json(order))),
    },
    { title: 'the seller delivers', command: call('/orders/"$ORDER"/deliver', ` -X POST${wait}`) },
    {
      title: 'the buyer accepts: the money is released',
      command: call('/orders/"$ORDER"/resolution/release', ` -X POST${wait}`),
    },
    { title: 'what the seller has now', command: call('/users/"$SELLER"/balance') },
    { title: 'the order, with every transaction hash', command: call('/orders/"$ORDER"') },
  ];
}

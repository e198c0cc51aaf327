/**
 * @module
 * Who has which address: services claim frontends; of several claims on one address the oldest service's holds; of those without a date
 * the one that came first, which keeps it.
 */
import { addressKey, compareText } from "./key.ts";
import type { FrontendParams, Service } from "./model.ts";

interface Claim {
  readonly params: FrontendParams;
  readonly created: string;
  /** Rises from claim to claim; a service that is set anew keeps it for the addresses that it had. */
  readonly order: number;
}

export class Claims {
  readonly #byKey = new Map<string, Claim[]>();
  readonly #byService = new Map<string, readonly string[]>();
  #next = 0;

  /** Replaces a service's claims; null: it is gone. Returns the addresses that may have changed hands. */
  set(name: string, service: Service | null, wanted: readonly FrontendParams[]): Set<string> {
    const touched = new Set(this.#byService.get(name));
    const orders = new Map([...touched].map((key) => [key, this.#drop(key, name)]));
    const keys = new Set<string>();
    for (const params of service ? wanted : []) {
      const key = addressKey(params, params.scope);
      if (keys.has(key)) continue;
      keys.add(key);
      this.#add(key, { params, created: service?.created ?? "", order: orders.get(key) ?? this.#next++ });
    }
    if (keys.size > 0) this.#byService.set(name, [...keys]);
    else this.#byService.delete(name);
    for (const key of keys) touched.add(key);
    return touched;
  }

  /** Gives the order of the claim that was there. */
  #drop(key: string, service: string): number | undefined {
    const claims = this.#byKey.get(key) ?? [];
    const rest = claims.filter((claim) => claim.params.service !== service);
    if (rest.length > 0) this.#byKey.set(key, rest);
    else this.#byKey.delete(key);
    return claims.find((claim) => claim.params.service === service)?.order;
  }

  #add(key: string, claim: Claim): void {
    const claims = this.#byKey.get(key);
    if (claims) claims.push(claim);
    else this.#byKey.set(key, [claim]);
    claims?.sort(byRight);
  }

  holder(key: string): FrontendParams | null {
    return this.#byKey.get(key)?.[0]?.params ?? null;
  }

  /** Claims that do not hold, with who has the address. */
  losers(): { readonly lost: FrontendParams; readonly holder: FrontendParams }[] {
    return [...this.#byKey.values()].flatMap(([first, ...others]) =>
      first ? others.map(({ params }) => ({ lost: params, holder: first.params })) : [],
    );
  }

  keysOf(service: string): Iterable<string> {
    return this.#byService.get(service) ?? [];
  }

  keys(): Iterable<string> {
    return this.#byKey.keys();
  }
}

/** A redirect never takes a service's address; the older wins, what has no date is youngest; then who came first. */
function byRight(a: Claim, b: Claim): number {
  const redirect = Number(a.params.type === "LocalRedirect") - Number(b.params.type === "LocalRedirect");
  return redirect || compareText(a.created || "~", b.created || "~") || a.order - b.order;
}

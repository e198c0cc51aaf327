// Certificates made for a test, with the machine's openssl.
import { spawnSync } from "node:child_process";
import { writeFileSync } from "node:fs";
import { join } from "node:path";

export const hasOpenssl = spawnSync("openssl", ["version"]).status === 0;

export interface CertificateFiles {
  readonly cert: string;
  readonly key: string;
}

function openssl(...args: string[]): void {
  const { status, stderr } = spawnSync("openssl", args, { encoding: "utf8" });
  if (status !== 0) throw new Error(stderr);
}

const curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"];

/** An authority of its own in a folder, and what it signs. */
export class Authority {
  readonly #folder: string;
  readonly #name: string;

  constructor(folder: string, name: string) {
    this.#folder = folder;
    this.#name = name;
    const { cert, key } = this.#files(name);
    openssl("req", "-x509", ...curve, "-days", "2", "-subj", `/CN=${name}`, "-keyout", key, "-out", cert);
  }

  #files(name: string): CertificateFiles {
    return { cert: join(this.#folder, `${name}.crt`), key: join(this.#folder, `${name}.key`) };
  }

  get cert(): string {
    return this.#files(this.#name).cert;
  }

  /** Into files of the name; those of an earlier call are replaced. */
  sign(name: string): CertificateFiles {
    const { cert, key } = this.#files(name);
    const [request, extensions] = [join(this.#folder, `${name}.csr`), join(this.#folder, `${name}.ext`)];
    writeFileSync(extensions, `subjectAltName=DNS:${name}\n`);
    openssl("req", ...curve, "-subj", `/CN=${name}`, "-keyout", key, "-out", request);
    const own = this.#files(this.#name);
    const by = ["-CA", own.cert, "-CAkey", own.key, "-CAcreateserial", "-days", "2"];
    openssl("x509", "-req", "-in", request, ...by, "-extfile", extensions, "-out", cert);
    return { cert, key };
  }
}

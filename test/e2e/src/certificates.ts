// The library finds its parts by it.
import "reflect-metadata"
import * as x509 from "@peculiar/x509"

/** A certificate and its key, as PEM. */
export interface Certified {
  readonly cert: string
  readonly key: string
}

/** Who signs certificates. */
export interface Authority {
  /** Its own certificate, as PEM. */
  readonly cert: string
  /** A certificate for the server of a name or an address, and for no other. */
  readonly certify: (server: { readonly dns: string } | { readonly ip: string }) => Promise<Certified>
}

const algorithm = { name: "ECDSA", namedCurve: "P-256", hash: "SHA-256" }
const day = 86_400_000

/** An authority that nobody knows yet; its certificates are valid for a day. */
export const authority = async (name: string): Promise<Authority> => {
  const keys = await crypto.subtle.generateKey(algorithm, true, ["sign", "verify"])
  const [notBefore, notAfter] = [new Date(Date.now() - day), new Date(Date.now() + day)]
  const own = await x509.X509CertificateGenerator.createSelfSigned({
    serialNumber: "01",
    name: `CN=${name}`,
    notBefore,
    notAfter,
    signingAlgorithm: algorithm,
    keys,
    extensions: [new x509.BasicConstraintsExtension(true, undefined, true)]
  })
  let issued = 1
  return {
    cert: own.toString("pem"),
    certify: async (server) => {
      const { privateKey, publicKey } = await crypto.subtle.generateKey(algorithm, true, ["sign", "verify"])
      const alternative = "dns" in server ? { type: "dns", value: server.dns } : { type: "ip", value: server.ip }
      const certificate = await x509.X509CertificateGenerator.create({
        serialNumber: `0${++issued}`,
        issuer: own.subject,
        subject: "CN=server",
        notBefore,
        notAfter,
        signingAlgorithm: algorithm,
        publicKey,
        signingKey: keys.privateKey,
        extensions: [new x509.SubjectAlternativeNameExtension([alternative as x509.JsonGeneralName])]
      })
      const key = Buffer.from(await crypto.subtle.exportKey("pkcs8", privateKey)).toString("base64")
      return {
        cert: certificate.toString("pem"),
        key: `-----BEGIN PRIVATE KEY-----\n${key.replace(/.{64}/g, "$&\n")}\n-----END PRIVATE KEY-----\n`
      }
    }
  }
}

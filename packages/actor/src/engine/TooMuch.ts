/** A batch stages more than one commit should carry: it is to be halved. */
export class TooMuch {}
